"""How pods end: last words, deadlines, prompt deletes."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from e2e import guests
from e2e.anatomy import Anatomy
from e2e.api import Api
from e2e.expectations import eventually
from e2e.history import History
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet

pytestmark = pytest.mark.usefixtures("wasmlet_up")
type Make = Callable[..., dict[str, Any]]

DEADLINE = "Pod was active on the node longer than the specified deadline"


def ended(pods: Pods, name: str) -> dict[str, Any]:
    state: dict[str, Any] = pods.container(name)["state"]["terminated"]
    return state


def test_a_container_s_last_words_are_in_its_status(pods: Pods, create: Make, play: Make) -> None:
    create("words", play("main", "fail", "the disk is full"))
    pods.await_phase("words", "Failed")
    assert ended(pods, "words")["message"] == "the disk is full"


def test_a_failed_container_without_last_words_can_fall_back_to_its_log(
    pods: Pods, create: Make, play: Make
) -> None:
    falls_back = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    create("logged", play("main", "fail", "written", **falls_back))
    create("silent", play("main", "exit3", **falls_back))
    create("well", play("main", "say", "fine", **falls_back))
    for name, phase in (("logged", "Failed"), ("silent", "Failed"), ("well", "Succeeded")):
        pods.await_phase(name, phase)
    assert ended(pods, "logged")["message"] == "written"
    assert "message" not in ended(pods, "silent")
    assert "message" not in ended(pods, "well")


def test_a_pod_ends_at_its_deadline(pods: Pods, create: Make, play: Make) -> None:
    create("late", play("main", "sleep"), restartPolicy="Always", activeDeadlineSeconds=1)
    found = pods.await_phase("late", "Failed")
    assert found["status"]["reason"] == "DeadlineExceeded"
    assert found["status"]["message"] == DEADLINE
    assert ended(pods, "late")["exitCode"] == 143
    eventually(lambda: ("DeadlineExceeded", DEADLINE) in pods.events("late"))


@pytest.mark.timeout(120)
def test_a_default_delete_of_a_running_pod_is_gone_within_100_ms(
    pods: Pods, create: Make, play: Make
) -> None:
    """Where guests have no signals to handle, 30 s of grace would be 30 s of nothing.

    A machine that does other things meanwhile is slower at times, so one of thirty suffices:
    whoever waited for anything but work would be late each time.
    """
    took_s: list[float] = []
    while len(took_s) < 30 and min(took_s, default=1.0) >= 0.1:
        name = f"prompt-{len(took_s)}"
        create(name, play("main", "sleep"))
        assert pods.await_phase(name, "Running")["spec"]["terminationGracePeriodSeconds"] == 30
        took_s.append(_seconds_until_gone(pods, name))
    assert min(took_s) < 0.1, took_s


def _seconds_until_gone(pods: Pods, name: str) -> float:
    began = time.monotonic()
    pods.delete(name)
    eventually(lambda: pods.is_gone(name), 10, every_s=0.005)
    return time.monotonic() - began


def test_a_guest_that_drains_at_a_file_ends_by_itself(pods: Pods, images: Images, api: Api) -> None:
    history = History(api, pods.namespace)
    manifest = pod("drains", images.push(guests.drains_at_a_file(), "drains-at-a-file"))
    manifest["metadata"]["annotations"] = {"wasmlet.dev/drain": "file"}
    pods.create(manifest)
    pods.await_phase("drains", "Running")
    eventually(lambda: pods.logs("drains") == "waiting\n")
    pods.delete("drains")
    eventually(lambda: pods.is_gone("drains"), 10)
    last = history.moments()[-1].pod
    assert last["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 5
    assert last["status"]["phase"] == "Failed"


def test_a_forced_delete_ends_the_process_too(
    wasmlet_up: RunningWasmlet, pods: Pods, create: Make, play: Make
) -> None:
    anatomy = Anatomy(wasmlet_up)
    others = anatomy.containers()
    hooks = {"preStop": {"sleep": {"seconds": 60}}}
    create("forced", play("main", "sleep", lifecycle=hooks), terminationGracePeriodSeconds=60)
    pods.await_phase("forced", "Running")
    mine = anatomy.containers() - others
    assert mine
    pods.delete("forced")
    assert all(each.lives for each in mine)
    pods.delete("forced", grace_s=0)
    eventually(lambda: pods.is_gone("forced"), 5)
    eventually(lambda: not any(each.lives for each in mine))


def test_a_grace_that_is_shortened_later_counts_from_then(
    pods: Pods, create: Make, play: Make
) -> None:
    hooks = {"preStop": {"sleep": {"seconds": 600}}}
    create("hurried", play("main", "sleep", lifecycle=hooks), terminationGracePeriodSeconds=600)
    pods.await_phase("hurried", "Running")
    pods.delete("hurried")
    assert pods.get("hurried")["metadata"]["deletionGracePeriodSeconds"] == 600
    pods.delete("hurried", grace_s=2)
    eventually(lambda: pods.is_gone("hurried"), 60)
