"""What a container shows while its image cannot be had, and when it asks again."""

import pytest
from podclock import Clock, Driver, plan_of

from contract.ids import ContainerName
from contract.messages.pod import RestartPolicy
from contract.messages.report import Waiting
from wasm_executor.domain.effects import Effect, PrepareImage
from wasm_executor.domain.inputs import PreparationFailed

AFTER = 'Back-off pulling image "image-c": ErrImagePull: no such host'


def test_a_failed_pull_shows_its_reason_then_the_back_off_then_asks_again(clock: Clock) -> None:
    driver = Driver(clock, plan_of(RestartPolicy.NEVER))
    driver.tell()
    driver.unprepared("ErrImagePull", "no such host", AFTER)
    assert driver.shown().state == Waiting(reason="ErrImagePull", message="no such host")
    driver.wait(2.1)
    assert driver.shown().state == Waiting(reason="ImagePullBackOff", message=AFTER)
    assert driver.reasons() == [
        ("BackOff", 'Back-off pulling image "image-c"'),
        ("Failed", "Error: ImagePullBackOff"),
    ]
    assert [type(each) for each in driver.wait(8)] == [PrepareImage]
    assert driver.shown().state == Waiting(reason="ImagePullBackOff", message=AFTER)
    driver.unprepared("ErrImagePull", "no such host", AFTER)
    assert driver.wait(19.9) == []
    assert [type(each) for each in driver.wait(0.2)] == [PrepareImage]


def test_a_reason_without_back_off_stays_until_the_next_attempt(clock: Clock) -> None:
    driver = Driver(clock, plan_of(RestartPolicy.NEVER))
    driver.tell()
    driver.unprepared("InvalidImageName", "no name")
    driver.wait(9)
    assert driver.shown().state == Waiting(reason="InvalidImageName", message="no name")
    assert [type(each) for each in driver.wait(1.1)] == [PrepareImage]


@pytest.mark.parametrize("reason", ["ErrImageNeverPull", "InvalidImageName"])
def test_what_costs_nothing_to_look_for_is_looked_for_at_the_same_pace(
    clock: Clock, reason: str
) -> None:
    driver = Driver(clock, plan_of())
    driver.tell()
    for _ in range(5):
        driver.unprepared(reason, "not here")
        assert driver.wait(9.9) == []
        assert [type(each) for each in driver.wait(0.2)] == [PrepareImage]


def test_an_image_that_came_at_last_forgets_its_back_off(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.tell()
    driver.unprepared("ErrImagePull", "x", AFTER)
    driver.wait(10.1)
    driver.run()
    driver.ended(0)
    driver.unprepared("ErrImagePull", "x", AFTER)
    assert driver.wait(9.9) == []
    assert [type(each) for each in driver.wait(0.2)] == [PrepareImage]


def test_a_process_that_never_came_to_be_leaves_no_run_behind(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.tell()
    driver.prepared()
    driver.unprepared("CreateContainerError", "no process")
    assert driver.shown().state == Waiting(reason="CreateContainerError", message="no process")
    assert driver.reasons() == [("Failed", "Error: no process")]
    assert driver.shown().container_id == ""
    driver.wait(10.1)
    driver.run()
    assert driver.shown().restart_count == 0


def test_containers_begin_in_order_each_after_the_first_attempt_of_the_one_before(
    clock: Clock,
) -> None:
    driver = Driver(clock, plan_of(RestartPolicy.ALWAYS, "c", "d", "e"))
    assert _wanted(driver.tell()) == ["c"]
    driver.prepared("c")
    assert _wanted(driver.started("c")) == ["d"]
    failed = PreparationFailed(
        container=ContainerName("d"), attempt=1, reason="ErrImagePull", message="x"
    )
    assert _wanted(driver.tell(failed)) == ["e"]


def _wanted(effects: list[Effect]) -> list[str]:
    return [each.container for each in effects if isinstance(each, PrepareImage)]
