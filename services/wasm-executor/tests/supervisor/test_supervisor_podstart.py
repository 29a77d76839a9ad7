"""What of a pod's start its node tells a collector, and from when on it tells nothing more."""

from collections.abc import Callable, Iterator

import pytest
from podclock import C, Clock, Driver, container_of, plan_of, pod_of
from trace_collector import Collector, ReceivedSpan

from contract.ids import NodeName
from contract.messages.pod import PodPlan
from servicekit.tracing import NO_SPAN, current, step, traced
from wasm_executor.supervisor import podstart
from wasm_executor.supervisor.podstart import PodStart

ARRIVED = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
TWO = pod_of(container_of("first"), container_of("second"))


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def traced_start(
    collector: Collector, plan: PodPlan, live: Callable[[PodStart, Driver], None]
) -> list[ReceivedSpan]:
    """What the collector has after a pod whose plan came with a trace has lived like this."""
    with traced("wasm-executor", collector.url) as tracer:
        driver = Driver(Clock(), plan)
        with tracer.arrived(ARRIVED):
            start = PodStart(plan, NodeName("n"))
        live(start, driver)
    return collector.spans


def turn(start: PodStart, driver: Driver, name: str) -> None:
    """A turn of the pod's task, which causes a step and ends with a report."""
    with start.here(), step(name):
        pass
    start.reported(driver.pod)


def test_a_start_lasts_until_every_container_has_begun(collector: Collector) -> None:
    def live(start: PodStart, driver: Driver) -> None:
        driver.tell()
        for name in ("first", "second"):
            turn(start, driver, f"before {name}")
            driver.run(name)
        turn(start, driver, "last")
        turn(start, driver, "a restart")
        with start.here():
            assert current() is NO_SPAN

    spans = traced_start(collector, TWO, live)
    assert [each.name for each in spans] == ["before first", "before second", "last", "pod.run"]
    run = spans[-1]
    assert (run.parent_id, run.error) == ("b7ad6b7169203331", "")
    assert {each.parent_id for each in spans[:-1]} == {run.span_id}


def test_a_pod_that_ends_before_it_has_begun_was_abandoned(collector: Collector) -> None:
    def live(start: PodStart, driver: Driver) -> None:
        driver.tell()
        driver.delete(0)
        assert driver.pod.stopped
        turn(start, driver, "end")

    assert traced_start(collector, plan_of(), live)[-1].error == "Abandoned"


def test_what_does_not_start_in_time_is_told_as_far_as_it_came(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def live(start: PodStart, driver: Driver) -> None:
        driver.tell()
        driver.unprepared("ErrImagePull", "not found")
        turn(start, driver, "an attempt")
        turn(start, driver, "another")

    monkeypatch.setattr(podstart, "PATIENCE_S", -1.0)
    spans = traced_start(collector, plan_of(), live)
    assert [(each.name, each.error) for each in spans] == [
        ("an attempt", ""),
        ("pod.run", "NotStartedInTime"),
    ]


def test_a_pod_without_a_trace_tells_nothing(collector: Collector) -> None:
    with traced("wasm-executor", collector.url):
        driver = Driver(Clock(), plan_of())
        start = PodStart(driver.pod.plan, NodeName("n"))
        driver.begin()
        turn(start, driver, "unseen")
        start.leave("Abandoned")
    assert collector.spans == []
    assert driver.phases()[C] == "running"
