"""While a postStart hook runs, its container is being created: not ready, and not probed."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from e2e.api import Api
from e2e.expectations import eventually
from e2e.history import History
from e2e.obedient import does
from e2e.pods import Pods

pytestmark = pytest.mark.usefixtures("wasmlet_up")
type Make = Callable[..., dict[str, Any]]

HOOK_S = 3
REFUSED = {"httpGet": {"port": 1}}
"""A port that nobody listens on."""
CREATING = {"waiting": {"reason": "ContainerCreating"}}


def test_a_container_is_ready_only_after_its_post_start_hook(
    pods: Pods, api: Api, create: Make, play: Make
) -> None:
    history = History(api, pods.namespace)
    hook = {"postStart": {"sleep": {"seconds": HOOK_S}}}
    create("slow", play("main", "sleep", lifecycle=hook, readinessProbe=does("exit0")))
    eventually(lambda: pods.conditions("slow").get("Ready") == "True")
    for moment in history.moments():
        for status in moment.pod["status"].get("containerStatuses", ()):
            assert "running" in status["state"] or status["state"] == CREATING, status
            assert "running" in status["state"] or not (status["ready"] or status["started"])
    began = pods.container("slow")["state"]["running"]["startedAt"]
    # The API's times are whole seconds.
    assert _ready_since(pods.get("slow")) - _seconds(began) > HOOK_S - 1


def test_nothing_is_asked_of_a_container_whose_post_start_hook_runs(
    pods: Pods, create: Make, play: Make
) -> None:
    kinds = ("readinessProbe", "livenessProbe")
    probes = {kind: does("exit1", periodSeconds=1, failureThreshold=99) for kind in kinds}
    create("hooked", play("main", "sleep", lifecycle={"postStart": does("sleep")}, **probes))
    eventually(lambda: ("Started", "Container started") in pods.events("hooked"))
    create("plain", play("main", "sleep", **probes))
    eventually(lambda: len(_unhealthy(pods, "plain")) == len(kinds))
    assert _unhealthy(pods, "hooked") == []
    assert pods.container("hooked")["state"] == CREATING
    assert pods.conditions("hooked")["Ready"] == "False"
    pods.delete("hooked", grace_s=1)
    eventually(lambda: pods.is_gone("hooked"))


@pytest.mark.parametrize("hook", [does("exit1"), REFUSED], ids=["exec", "httpGet"])
def test_the_next_container_begins_when_the_one_whose_hook_failed_is_dead(
    pods: Pods, api: Api, create: Make, play: Make, hook: dict[str, Any]
) -> None:
    history = History(api, pods.namespace)
    create("order", *_two(play, hook))
    eventually(lambda: "running" in _states(pods.get("order")).get("next", {}))
    first, following = _states(pods.get("order")).values()
    ended = first["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (143, "Error")
    # Its preStop hook is a part of its end, and the next one has waited for both.
    assert _seconds(ended["finishedAt"]) - _seconds(ended["startedAt"]) >= HOOK_S - 1
    assert _seconds(following["running"]["startedAt"]) >= _seconds(ended["finishedAt"])
    for moment in history.moments():
        states = _states(moment.pod)
        assert all("running" not in each for name, each in states.items() if name == "first")
        assert states.get("next", CREATING) in (CREATING, following)
    eventually(lambda: _told(api, pods, "order")[-1] == ("next", "Started", "Container started"))
    told = [each for each in _told(api, pods, "order") if each[1] not in ("Pulling", "Pulled")]
    assert told == [
        ("first", "Created", "Container created"),
        ("first", "Started", "Container started"),
        ("first", "FailedPostStartHook", "PostStartHook failed"),
        ("first", "Killing", "FailedPostStartHook"),
        ("next", "Created", "Container created"),
        ("next", "Started", "Container started"),
    ]
    assert pods.get("order")["status"]["phase"] == "Running"


def test_a_container_whose_hook_fails_again_and_again_holds_up_no_other_one(
    pods: Pods, api: Api, create: Make, play: Make
) -> None:
    history = History(api, pods.namespace)
    made = create("again", *_two(play, REFUSED), restartPolicy="OnFailure")
    eventually(lambda: "running" in pods.container("again", "next").get("state", {}))
    eventually(lambda: pods.container("again", "first")["restartCount"] >= 1)
    waiting = [_states(each.pod).get("first", CREATING)["waiting"] for each in history.moments()]
    (said,) = {each["message"] for each in waiting if each["reason"] == "PostStartHookError"}
    pod = f"again_{pods.namespace}({made['metadata']['uid']})"
    hook = f'HTTP lifecycle hook (/) for Container "first" in Pod "{pod}" failed - error: '
    assert said.startswith(hook)
    assert said.endswith(":1: connect: connection refused")
    found = pods.get("again")
    assert pods.container("again", "next")["ready"] is True
    (ready,) = (each for each in found["status"]["conditions"] if each["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert ready["message"] == "containers with unready status: [first]"
    assert pods.container("again", "first")["lastState"]["terminated"]["exitCode"] == 143
    assert pods.container("again", "next")["restartCount"] == 0


def _two(play: Make, hook: dict[str, Any]) -> list[dict[str, Any]]:
    """One whose postStart hook fails and whose preStop hook takes its time, and one after it."""
    lifecycle = {"postStart": hook, "preStop": {"sleep": {"seconds": HOOK_S}}}
    return [play("first", "sleep", lifecycle=lifecycle), play("next", "sleep")]


def _states(pod: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["state"] for each in pod["status"].get("containerStatuses", ())}


def _told(api: Api, pods: Pods, name: str) -> list[tuple[str, str, str]]:
    """(container, reason, message) of its containers' Events, in order."""
    path = f"/api/v1/namespaces/{pods.namespace}/events"
    items = api.get(path, fieldSelector=f"involvedObject.name={name}")["items"]
    items.sort(key=lambda each: int(each["metadata"]["resourceVersion"]))
    paths = [each["involvedObject"].get("fieldPath", "") for each in items]
    return [
        (path.removeprefix("spec.containers{").removesuffix("}"), each["reason"], each["message"])
        for path, each in zip(paths, items, strict=True)
        if path
    ]


def _unhealthy(pods: Pods, name: str) -> list[str]:
    return [message for reason, message in pods.events(name) if reason == "Unhealthy"]


def _ready_since(pod: dict[str, Any]) -> float:
    (ready,) = (each for each in pod["status"]["conditions"] if each["type"] == "Ready")
    return _seconds(ready["lastTransitionTime"])


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
