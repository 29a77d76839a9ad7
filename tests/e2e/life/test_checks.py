"""Probes and hooks that run a command in the container's world, readiness gates."""

from collections.abc import Callable
from typing import Any

import pytest
from e2e.api import Api
from e2e.expectations import eventually
from e2e.history import History
from e2e.obedient import does
from e2e.pods import Pods

pytestmark = pytest.mark.usefixtures("wasmlet_up")
type Make = Callable[..., dict[str, Any]]


def has_event(pods: Pods, name: str, reason: str, message: str) -> bool:
    found = pods.events(name)
    assert (reason, message) in found, f"{name}: {found}"
    return True


def test_a_container_is_ready_when_its_readiness_probe_succeeds(
    pods: Pods, create: Make, play: Make
) -> None:
    create("good", play("main", "sleep", readinessProbe=does("exit0")))
    create("bad", play("main", "sleep", readinessProbe=does("fail", "why")))
    eventually(lambda: pods.conditions("good").get("Ready") == "True")
    eventually(lambda: has_event(pods, "bad", "Unhealthy", "Readiness probe failed: "))
    found = pods.get("bad")
    assert found["status"]["phase"] == "Running"
    assert pods.container("bad")["ready"] is False
    assert pods.container("bad")["started"] is True
    (ready,) = (each for each in found["status"]["conditions"] if each["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert ready["message"] == "containers with unready status: [main]"


def test_a_container_that_fails_its_liveness_probe_is_restarted(
    pods: Pods, create: Make, play: Make
) -> None:
    probe = does("exit1", periodSeconds=1, failureThreshold=1)
    create("sick", play("main", "sleep", livenessProbe=probe), restartPolicy="Always")
    eventually(lambda: pods.container("sick").get("restartCount", 0) >= 1)
    said = "Container main failed liveness probe, will be restarted"
    eventually(lambda: has_event(pods, "sick", "Killing", said))
    eventually(lambda: has_event(pods, "sick", "Unhealthy", "Liveness probe failed: "))
    assert pods.container("sick")["lastState"]["terminated"]["exitCode"] == 143


def test_a_probe_s_own_grace_comes_before_its_pod_s(pods: Pods, create: Make, play: Make) -> None:
    """Else its container would have four minutes to end, for its preStop hook takes them."""
    probe = does("exit1", periodSeconds=1, failureThreshold=1, terminationGracePeriodSeconds=1)
    hooks = {"preStop": {"sleep": {"seconds": 240}}}
    main = play("main", "sleep", livenessProbe=probe, lifecycle=hooks)
    create("brief", main, restartPolicy="Always", terminationGracePeriodSeconds=240)
    eventually(lambda: pods.container("brief").get("restartCount"), 60)
    pods.delete("brief", grace_s=0)


def test_a_container_is_started_when_its_startup_probe_succeeds(
    pods: Pods, create: Make, play: Make
) -> None:
    slow = does("exit1", periodSeconds=1, failureThreshold=600)
    create("slow", play("main", "sleep", startupProbe=slow, livenessProbe=does("exit1")))
    create("quick", play("main", "sleep", startupProbe=does("exit0"), readinessProbe=does("exit0")))
    eventually(lambda: pods.conditions("quick").get("Ready") == "True")
    assert pods.container("quick")["started"] is True
    eventually(lambda: has_event(pods, "slow", "Unhealthy", "Startup probe failed: "))
    assert pods.container("slow")["started"] is False
    assert pods.container("slow")["restartCount"] == 0


def test_a_container_that_does_not_start_in_time_is_restarted(
    pods: Pods, create: Make, play: Make
) -> None:
    """After as many failures as are allowed, and not asked for its liveness meanwhile."""
    startup = does("exit1", periodSeconds=1, failureThreshold=2)
    main = play("main", "sleep", startupProbe=startup, livenessProbe=does("exit2"))
    create("late", main, restartPolicy="Always")
    eventually(lambda: pods.container("late").get("restartCount", 0) >= 1)
    assert pods.container("late")["lastState"]["terminated"]["exitCode"] == 143
    said = "Container main failed startup probe, will be restarted"
    eventually(lambda: has_event(pods, "late", "Killing", said))
    assert not [each for each in pods.events("late") if each[1].startswith("Liveness")]


def test_a_command_that_is_not_there_is_an_error_of_the_probe(
    pods: Pods, create: Make, play: Make
) -> None:
    probe = {"exec": {"command": ["curl", "localhost"]}}
    create("odd", play("main", "sleep", readinessProbe=probe))
    said = 'exec: "curl": executable file not found in $PATH'
    message = f"Readiness probe errored and resulted in unknown state: {said}"
    eventually(lambda: has_event(pods, "odd", "Unhealthy", message))


def test_a_probe_that_takes_too_long_fails(pods: Pods, create: Make, play: Make) -> None:
    create("late", play("main", "sleep", readinessProbe=does("sleep")))
    said = 'command timed out: "obedient sleep" timed out after 1s'
    said = f"Readiness probe failed: {said}"
    eventually(lambda: has_event(pods, "late", "Unhealthy", said))


def test_a_pod_waits_for_its_readiness_gates(
    pods: Pods, api: Api, create: Make, play: Make
) -> None:
    gate = "example.com/in-service"
    create("gated", play("main", "sleep"), readinessGates=[{"conditionType": gate}])
    eventually(lambda: pods.conditions("gated").get("ContainersReady") == "True")
    (ready,) = (
        each for each in pods.get("gated")["status"]["conditions"] if each["type"] == "Ready"
    )
    assert (ready["status"], ready["reason"]) == ("False", "ReadinessGatesNotReady")
    said = f'corresponding condition of pod readiness gate "{gate}" does not exist.'
    assert ready["message"] == said
    path = f"/api/v1/namespaces/{pods.namespace}/pods/gated/status"
    api.patch(path, {"status": {"conditions": [{"type": gate, "status": "True"}]}})
    eventually(lambda: pods.conditions("gated")["Ready"] == "True")
    assert pods.conditions("gated")[gate] == "True"


def test_hooks_run_where_the_kubelet_runs_them(pods: Pods, create: Make, play: Make) -> None:
    hooks = {"postStart": does("exit0"), "preStop": does("exit0")}
    create("hooked", play("main", "sleep", lifecycle=hooks), play("next", "sleep"))
    pods.await_phase("hooked", "Running")
    pods.delete("hooked")
    eventually(lambda: pods.is_gone("hooked"), 10)


def test_a_failed_post_start_hook_ends_its_container(pods: Pods, create: Make, play: Make) -> None:
    hooks = {"postStart": does("exit1")}
    create("unhooked", play("main", "sleep", lifecycle=hooks))
    found = pods.await_phase("unhooked", "Failed")
    (status,) = found["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 143
    eventually(lambda: has_event(pods, "unhooked", "FailedPostStartHook", "PostStartHook failed"))


def test_a_container_waits_for_its_next_run_with_what_its_post_start_hook_failed_of(
    pods: Pods, api: Api, create: Make, play: Make
) -> None:
    history = History(api, pods.namespace)
    hooks = {"postStart": does("exit1")}
    made = create("greeting", play("main", "sleep", lifecycle=hooks), restartPolicy="Always")

    def states() -> list[Any]:
        pods_then = [each.pod for each in history.moments() if each.name == "greeting"]
        listed = [each["status"].get("containerStatuses", ()) for each in pods_then]
        found = [one["state"].get("waiting") for each in listed for one in each]
        assert any(each and each["reason"] == "CrashLoopBackOff" for each in found)
        return found

    pod = f"greeting_{pods.namespace}({made['metadata']['uid']})"
    said = (
        f'Exec lifecycle hook ([obedient exit1]) for Container "main" in Pod "{pod}" failed - '
        "error: command 'obedient exit1' exited with 1: , message: \"\""
    )
    assert {"reason": "PostStartHookError", "message": said} in eventually(states)


def test_a_pre_stop_hook_runs_within_the_grace_and_no_longer(
    pods: Pods, create: Make, play: Make
) -> None:
    hooks = {"preStop": {"sleep": {"seconds": 60}}}
    create(
        "patient",
        play("main", "sleep", lifecycle=hooks),
        terminationGracePeriodSeconds=60,
    )
    pods.await_phase("patient", "Running")
    pods.delete("patient")
    eventually(lambda: has_event(pods, "patient", "Killing", "Stopping container main"))
    assert not pods.is_gone("patient")
    pods.delete("patient", grace_s=1)
    eventually(lambda: pods.is_gone("patient"), 10)
