"""How long a crashed container waits: the kubelet's first words and numbers, and a node's own.

The node's own numbers are small, so that a wait is over within the test.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.history import History
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import joined

from controlplane import ControlPlane

type Make = Callable[..., dict[str, Any]]

NODE = "impatient"
DELAY_S, MOST_S, RESET_S = 2, 3, 3
EVERY_MS = 50


@pytest.fixture(scope="module")
def impatient(
    control_plane: ControlPlane,
    api: Api,
    images: Images,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    settings = {"DELAY_S": DELAY_S, "DELAY_MAX_S": MOST_S, "RESET_S": RESET_S}
    with joined(
        control_plane,
        api,
        tmp_path_factory.mktemp(NODE) / "up",
        node_name=NODE,
        registries=[images.registry.host],
        settings={f"wasm-executor:RESTART_{name}": value for name, value in settings.items()},
    ):
        yield


def waits(history: History) -> list[str]:
    """The back-offs that were shown, one after the other, in the message's own words."""
    shown: list[str] = []
    for moment in history.moments():
        for status in moment.pod["status"].get("containerStatuses", ()):
            waiting = status["state"].get("waiting", {})
            if waiting.get("reason") == "CrashLoopBackOff":
                shown.append(f"{status['restartCount']}: {waiting['message'].split()[1]}")
    return list(dict.fromkeys(shown))


def crashing(images: Images, name: str, lines: int) -> dict[str, Any]:
    """A pod that ends with 1 after so many lines, each of which takes its time."""
    counts = guests.counts(EVERY_MS, up_to=lines, exit_code=1)
    manifest = pod(name, images.push(counts, f"back-off-{lines}"))
    manifest["spec"] |= {"nodeName": NODE, "restartPolicy": "Always"}
    return manifest


@pytest.mark.usefixtures("wasmlet_up")
def test_a_crash_is_followed_by_a_restart_at_once_and_then_by_ten_seconds(
    pods: Pods, create: Make, play: Make
) -> None:
    created = create("crashing", play("main", "exit1"), restartPolicy="Always")
    pod_name = f"crashing_{pods.namespace}({created['metadata']['uid']})"
    waiting = pods.await_waiting("crashing", "CrashLoopBackOff")
    told = f"restarting failed container=main pod={pod_name}"
    assert waiting == {"reason": "CrashLoopBackOff", "message": f"back-off 10s {told}"}
    assert pods.container("crashing")["restartCount"] == 1
    event = f"Back-off restarting failed container main in pod {pod_name}"
    eventually(lambda: ("BackOff", event) in pods.events("crashing"))


@pytest.mark.usefixtures("impatient")
def test_a_back_off_doubles_up_to_what_the_node_allows(
    pods: Pods, api: Api, images: Images
) -> None:
    history = History(api, pods.namespace)
    pods.create(crashing(images, "crashing", 1))
    eventually(lambda: pods.container("crashing").get("restartCount", 0) >= 4)
    assert waits(history)[:3] == [f"1: {DELAY_S}s", f"2: {MOST_S}s", f"3: {MOST_S}s"]


@pytest.mark.usefixtures("impatient")
def test_a_run_that_has_lasted_is_followed_by_another_at_once(
    pods: Pods, api: Api, images: Images
) -> None:
    """Lasted as long as the node's settings ask; under a kubelet it would be ten minutes."""
    history = History(api, pods.namespace)
    pods.create(crashing(images, "lasting", (RESET_S + 1) * 1000 // EVERY_MS))
    eventually(lambda: pods.container("lasting").get("restartCount", 0) >= 3)
    assert waits(history) == []
