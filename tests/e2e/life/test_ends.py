"""How pods end: last words, deadlines, prompt deletes."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from e2e.anatomy import Anatomy
from e2e.expectations import eventually
from e2e.pods import Pods
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


def test_a_default_delete_does_not_wait_out_the_grace(pods: Pods, create: Make, play: Make) -> None:
    """Where guests have no signals to handle, 30 s of grace would be 30 s of nothing."""
    create("prompt", play("main", "sleep"))
    pods.await_phase("prompt", "Running")
    began = time.monotonic()
    pods.delete("prompt")
    eventually(lambda: pods.is_gone("prompt"), 10)
    assert time.monotonic() - began < 10


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
