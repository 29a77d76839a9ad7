"""What is said of a pod, and when: golden pairs of states and reports, and the patience between."""

from pathlib import Path

import msgspec
import pytest
from podclock import Clock, Driver, plan_of

from contract.messages.pod import RestartPolicy
from contract.messages.report import ContainerReport
from wasm_executor.domain.publication import Content, Publication

GOLDEN = Path(__file__).with_name("golden")


class Step(msgspec.Struct, forbid_unknown_fields=True):
    """One thing that happens to the container, and how long after the last one."""

    does: str
    code: int = 0
    message: str = ""
    after_s: float = 0


class Story(msgspec.Struct, forbid_unknown_fields=True):
    """What happens, and what is shown at its end."""

    policy: RestartPolicy
    steps: list[Step]
    stopped: bool
    shows: ContainerReport


def play(story: Story, clock: Clock) -> Driver:
    driver = Driver(clock, plan_of(story.policy))
    driver.tell()
    for step in story.steps:
        driver.wait(step.after_s) if step.after_s else None
        match step.does:
            case "prepared":
                driver.prepared()
            case "unprepared":
                driver.unprepared("ErrImagePull", step.message, f"Back-off: {step.message}")
            case "started":
                driver.started()
            case "refused":
                driver.refused(step.message)
            case "ended":
                driver.ended(step.code)
            case "waited":
                pass
            case other:
                raise AssertionError(other)
    return driver


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_a_container_is_shown_as_its_golden_report(path: Path, clock: Clock) -> None:
    story = msgspec.json.decode(path.read_bytes(), type=Story)
    driver = play(story, clock)
    assert msgspec.json.format(msgspec.json.encode(driver.shown())) == msgspec.json.format(
        msgspec.json.encode(story.shows)
    )
    assert driver.pod.stopped is story.stopped


def content(driver: Driver, digest: str = "d", generation: int = 1) -> Content:
    return Content(
        containers=driver.pod.reports(),
        stopped=driver.pod.stopped,
        generation=generation,
        plan_digest=digest,
    )


def due_in(publication: Publication, driver: Driver, **more: object) -> float | None:
    due = publication.due_at(
        content(driver, **more),  # type: ignore[arg-type]  # digest and generation
        driver.clock.now,
        settled=driver.pod.settled,
        patience_s=0.25 if driver.pod.preparing or driver.pod.settled else 1.0,
    )
    return None if due is None else round(due - driver.clock.mono, 3)


def test_a_prompt_start_is_said_once_and_a_slow_one_after_a_moment(clock: Clock) -> None:
    driver, publication = Driver(clock, plan_of()), Publication()
    driver.tell()
    assert due_in(publication, driver) == 0.25
    clock.turn(0.1)
    assert due_in(publication, driver) == 0.15
    driver.prepared()
    assert due_in(publication, driver) == 0.9
    driver.started()
    assert due_in(publication, driver) == 0
    publication.said(content(driver))
    assert due_in(publication, driver) is None


def test_a_restart_without_delay_is_said_once(clock: Clock) -> None:
    driver, publication = Driver(clock, plan_of()), Publication()
    driver.begin()
    publication.said(content(driver))
    clock.turn(5)
    driver.ended(1)
    assert due_in(publication, driver) == 0.25
    driver.run()
    assert due_in(publication, driver) == 0


def test_a_new_plan_alone_waits_for_what_it_causes(clock: Clock) -> None:
    driver, publication = Driver(clock, plan_of()), Publication()
    driver.begin()
    publication.said(content(driver))
    assert due_in(publication, driver, digest="e") == 0.25
    assert due_in(publication, driver) is None


def test_a_new_plan_of_a_stopped_pod_is_said_at_once(clock: Clock) -> None:
    driver, publication = Driver(clock, plan_of(RestartPolicy.NEVER)), Publication()
    driver.begin()
    driver.ended(0)
    publication.said(content(driver))
    assert due_in(publication, driver, digest="e") == 0


def test_patience_begins_anew_with_each_change(clock: Clock) -> None:
    driver, publication = Driver(clock, plan_of()), Publication()
    driver.begin()
    publication.said(content(driver))
    assert due_in(publication, driver, digest="e") == 0.25
    clock.turn(0.2)
    assert due_in(publication, driver) is None
    clock.turn(5)
    assert due_in(publication, driver, digest="f") == 0.25
