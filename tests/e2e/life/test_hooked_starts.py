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


def _unhealthy(pods: Pods, name: str) -> list[str]:
    return [message for reason, message in pods.events(name) if reason == "Unhealthy"]


def _ready_since(pod: dict[str, Any]) -> float:
    (ready,) = (each for each in pod["status"]["conditions"] if each["type"] == "Ready")
    return _seconds(ready["lastTransitionTime"])


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
