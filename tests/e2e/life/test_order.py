"""Init containers, sidecars and apps on the real control plane: the kubelet's order and words."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from e2e.api import Api
from e2e.expectations import eventually
from e2e.history import History
from e2e.pods import Pods

pytestmark = pytest.mark.usefixtures("wasmlet_up")
type Make = Callable[..., dict[str, Any]]


def statuses(found: dict[str, Any], kind: str = "containerStatuses") -> dict[str, Any]:
    known = {each["name"]: each for each in found["status"].get(kind, [])}
    assert known, f"there is no {kind} yet"
    return known


def inits(found: dict[str, Any]) -> dict[str, Any]:
    return statuses(found, "initContainerStatuses")


def test_init_containers_run_in_order_and_a_sidecar_goes_on_beside_the_app(
    pods: Pods, create: Make, play: Make
) -> None:
    create(
        "ordered",
        play("app", "sleep"),
        initContainers=[
            play("first", "say", "first"),
            play("proxy", "sleep", restartPolicy="Always"),
            play("second", "say", "second"),
        ],
    )
    found = pods.await_phase("ordered", "Running")
    init = inits(found)
    assert list(init) == ["first", "proxy", "second"]
    for name in ("first", "second"):
        assert init[name]["state"]["terminated"]["reason"] == "Completed"
        assert init[name]["ready"] is True
    assert "running" in init["proxy"]["state"]
    assert init["proxy"]["ready"] is True
    assert init["proxy"]["started"] is True
    conditions = pods.conditions("ordered")
    assert {conditions[kind] for kind in ("Initialized", "Ready", "ContainersReady")} == {"True"}
    assert pods.logs("ordered", "--container=first") == "first\n"
    assert pods.logs("ordered", "--container=second") == "second\n"


def test_an_init_container_that_fails_is_repeated_and_the_app_waits(
    pods: Pods, create: Make, play: Make
) -> None:
    create(
        "stuck", play("app", "sleep"), restartPolicy="Always", initContainers=[play("bad", "exit3")]
    )

    def backs_off() -> dict[str, Any]:
        found = pods.get("stuck")
        assert inits(found)["bad"]["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
        return found

    found = eventually(backs_off)
    assert found["status"]["phase"] == "Pending"
    assert statuses(found)["app"]["state"] == {"waiting": {"reason": "PodInitializing"}}
    (initialized,) = (
        each for each in found["status"]["conditions"] if each["type"] == "Initialized"
    )
    assert initialized["reason"] == "ContainersNotInitialized"
    assert initialized["message"] == "containers with incomplete status: [bad]"


def test_an_init_container_that_fails_ends_a_pod_that_never_restarts(
    pods: Pods, create: Make, play: Make
) -> None:
    create("over", play("app", "sleep"), initContainers=[play("bad", "exit3")])
    found = pods.await_phase("over", "Failed")
    assert inits(found)["bad"]["state"]["terminated"]["exitCode"] == 3
    assert "waiting" in statuses(found)["app"]["state"]


def test_a_sidecar_does_not_keep_a_pod_alive_whose_app_is_done(
    pods: Pods, create: Make, play: Make
) -> None:
    create(
        "done",
        play("app", "exit0"),
        initContainers=[play("proxy", "sleep", restartPolicy="Always")],
    )
    found = pods.await_phase("done", "Succeeded")
    assert inits(found)["proxy"]["state"]["terminated"]["exitCode"] == 143


def test_sidecars_end_after_the_app_the_last_one_first(
    pods: Pods, api: Api, create: Make, play: Make
) -> None:
    history = History(api, pods.namespace)

    def sleeps(seconds: int) -> dict[str, Any]:
        return {"lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}}

    # Hooks run at once, and only then does each wait for its turn. So `inner` would be outrun by
    # `outer`, and the app by `nearest`: the API's times are whole seconds.
    hooks = {"outer": {}, "inner": sleeps(4), "nearest": {}}
    sidecars = [play(name, "sleep", restartPolicy="Always", **hooks[name]) for name in hooks]
    create("served", play("app", "sleep", **sleeps(2)), initContainers=sidecars)
    pods.await_phase("served", "Running")
    pods.delete("served")
    eventually(lambda: pods.is_gone("served"))
    last = [each.pod for each in history.moments() if each.name == "served"][-1]
    ends = {
        name: status["state"]["terminated"]["finishedAt"]
        for name, status in (inits(last) | statuses(last)).items()
    }
    assert ends["app"] <= ends["nearest"] <= ends["inner"] <= ends["outer"]


def test_an_ephemeral_container_is_added_to_a_running_pod(
    pods: Pods, api: Api, create: Make, play: Make
) -> None:
    create("debugged", play("app", "sleep"))
    pods.await_phase("debugged", "Running")
    added = {"spec": {"ephemeralContainers": [play("debugger", "say", "here")]}}
    path = f"/api/v1/namespaces/{pods.namespace}/pods/debugged/ephemeralcontainers"
    api.patch(path, added)

    def is_over() -> dict[str, Any]:
        found = statuses(pods.get("debugged"), "ephemeralContainerStatuses")
        status: dict[str, Any] = found["debugger"]
        assert "terminated" in status["state"]
        return status

    assert eventually(is_over)["state"]["terminated"]["exitCode"] == 0
    assert pods.logs("debugged", "--container=debugger") == "here\n"
    assert pods.get("debugged")["status"]["phase"] == "Running"


def test_a_pod_takes_ephemeral_containers_in_any_order_and_can_be_deleted(
    pods: Pods, api: Api, create: Make, play: Make
) -> None:
    create("twice", play("app", "sleep"))
    pods.await_phase("twice", "Running")
    path = f"/api/v1/namespaces/{pods.namespace}/pods/twice/ephemeralcontainers"
    for name in ("first", "second"):
        found = api.patch(path, {"spec": {"ephemeralContainers": [play(name, "say", name)]}})
    names = [each["name"] for each in found["spec"]["ephemeralContainers"]]
    assert names == ["second", "first"], "the API server puts it before those that there were"

    def both_are_over() -> bool:
        known = statuses(pods.get("twice"), "ephemeralContainerStatuses")
        return set(known) == set(names) and all(
            "terminated" in each["state"] for each in known.values()
        )

    eventually(both_are_over)
    assert pods.logs("twice", "--container=second") == "second\n"
    pods.delete("twice")
    eventually(lambda: pods.is_gone("twice"))


def test_a_changed_image_restarts_its_container_alone(
    pods: Pods, api: Api, create: Make, play: Make, image: str
) -> None:
    create("updated", play("app", "sleep"), play("other", "sleep"), restartPolicy="Always")
    before = statuses(pods.await_phase("updated", "Running"))
    newer = f"{image.rpartition(':')[0]}:v1@{before['app']['imageID'].rpartition('@')[2]}"
    change = {"spec": {"containers": [{"name": "app", "image": newer}]}}
    generation = api.patch(f"/api/v1/namespaces/{pods.namespace}/pods/updated", change)["metadata"][
        "generation"
    ]

    def restarted() -> dict[str, Any]:
        found = pods.get("updated")
        app = statuses(found)["app"]
        assert app["restartCount"] == 1
        assert "running" in app["state"]
        assert found["status"]["observedGeneration"] == generation
        return found

    found = eventually(restarted)
    assert statuses(found)["other"] == before["other"]
    said = "Container app definition changed, will be restarted"
    eventually(lambda: ("Killing", said) in pods.events("updated"))


def test_a_changed_image_begins_the_back_off_anew(
    pods: Pods, api: Api, create: Make, play: Make, image: str
) -> None:
    create("crashing", play("app", "exit3"), restartPolicy="Always")

    def waits(restarts: int, delay: str) -> dict[str, Any]:
        app: dict[str, Any] = statuses(pods.get("crashing"))["app"]
        assert app["restartCount"] >= restarts
        assert f"back-off {delay} restarting" in app["state"].get("waiting", {}).get("message", "")
        return app

    app = eventually(lambda: waits(2, "20s"))
    newer = f"{image.rpartition(':')[0]}:v1@{app['imageID'].rpartition('@')[2]}"
    change = {"spec": {"containers": [{"name": "app", "image": newer}]}}
    api.patch(f"/api/v1/namespaces/{pods.namespace}/pods/crashing", change)
    eventually(lambda: waits(3, "10s"))


def test_a_resize_of_a_running_container_is_refused_and_not_shown_as_done(
    pods: Pods, api: Api, create: Make, play: Make
) -> None:
    limits = {"limits": {"memory": "64Mi"}}
    create("sized", play("app", "sleep", resources=limits))
    pods.await_phase("sized", "Running")
    path = f"/api/v1/namespaces/{pods.namespace}/pods/sized"
    larger = {"name": "app", "resources": {"limits": {"memory": "128Mi"}}}
    with pytest.raises(httpx.HTTPStatusError, match="node without support for resize"):
        api.patch(f"{path}/resize", {"spec": {"containers": [larger]}})
    assert api.get(path)["spec"]["containers"][0]["resources"]["limits"] == limits["limits"]


def test_a_rule_restarts_all_containers_in_place(pods: Pods, create: Make, play: Make) -> None:
    rule = {
        "action": "RestartAllContainers",
        "exitCodes": {"operator": "In", "values": [7]},
    }
    created = create(
        "anew",
        play("app", "sleep"),
        play("watcher", "exit7", restartPolicy="Never", restartPolicyRules=[rule]),
        initContainers=[play("init", "say", "init")],
    )

    def all_anew() -> dict[str, Any]:
        found = pods.get("anew")
        assert statuses(found)["app"]["restartCount"] >= 1
        assert inits(found)["init"]["restartCount"] >= 1
        return found

    assert eventually(all_anew)["metadata"]["uid"] == created["metadata"]["uid"]


def test_a_container_s_own_policy_comes_before_its_pod_s(
    pods: Pods, create: Make, play: Make
) -> None:
    create(
        "own",
        play("again", "exit0", restartPolicy="Always"),
        play("once", "exit1"),
        restartPolicy="Never",
    )

    def restarted() -> dict[str, Any]:
        found = pods.get("own")
        assert statuses(found)["again"]["restartCount"] >= 1
        return found

    found = eventually(restarted)
    assert found["status"]["phase"] == "Running"
    assert statuses(found)["once"]["restartCount"] == 0


@pytest.mark.parametrize(("operator", "again"), [("In", "app"), ("NotIn", "other")])
def test_a_rule_restarts_one_container_for_its_exit_code(
    pods: Pods, create: Make, play: Make, operator: str, again: str
) -> None:
    """`app` ends with 7 and `other` with 3, under a policy that would restart neither."""
    rule = {"action": "Restart", "exitCodes": {"operator": operator, "values": [7]}}
    ruled = {"restartPolicy": "Never", "restartPolicyRules": [rule]}
    create("ruled", play("app", "exit7", **ruled), play("other", "exit3", **ruled))
    (once,) = {"app", "other"} - {again}

    def settled() -> dict[str, Any]:
        found = statuses(pods.get("ruled"))
        assert found[again]["restartCount"] >= 1
        assert "terminated" in found[once]["state"]
        return found

    found = eventually(settled)
    assert found[once]["restartCount"] == 0
    assert pods.get("ruled")["status"]["phase"] == "Running"
