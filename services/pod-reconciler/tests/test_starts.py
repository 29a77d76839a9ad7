"""Whose start is traced, by which root, and how it ends; as a real collector is told of it."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from reconciler_samples import live_view, pod_json, pod_of, report_of
from trace_collector import Collector, ReceivedSpan

from contract.ids import PodUid
from pod_reconciler import starts
from pod_reconciler.domain.cluster import PodVersion
from pod_reconciler.domain.tracking import NodeView
from pod_reconciler.starts import Starts
from servicekit.tracing import NO_SPAN, NO_TRACER, step, traced

UID = PodUid("u-1")
ELSEWHERE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def version(status: dict[str, Any] | None = None, **metadata: Any) -> PodVersion:
    json = pod_json()
    json["metadata"] |= metadata
    json["status"] = status or {"phase": "Pending"}
    return PodVersion(pod_of(json), msgspec.json.encode(json))


def shown(starts: Starts, view: NodeView, pod: PodVersion) -> None:
    """As the desk does it when the watch shows a pod."""
    with starts.seen(pod):
        view.on_pod(pod, 0.0)


def roots(collector: Collector) -> list[ReceivedSpan]:
    return [each for each in collector.spans if each.name == "pod.start"]


def test_a_start_ends_with_the_status_that_shows_it(collector: Collector) -> None:
    view = live_view()
    with traced("pod-reconciler", collector.url) as tracer:
        under_way = Starts(view, tracer)
        shown(under_way, view, version())
        under_way.look_at(UID)
        assert under_way.of(UID) is not NO_SPAN
        shown(under_way, view, version({"phase": "Running"}, resourceVersion="2"))
        under_way.look_at(UID)
        assert under_way.of(UID) is NO_SPAN
    (root,) = roots(collector)
    (admit,) = (each for each in collector.spans if each.name == "pod.admit")
    assert (root.error, admit.parent_id) == ("", root.span_id)


@pytest.mark.parametrize(
    "pod",
    [
        version({"phase": "Pending", "startTime": "2026-01-01T00:00:00Z"}),
        version({"phase": "Running"}),
        version(deletionTimestamp="2026-01-01T00:00:00Z"),
    ],
)
def test_what_is_no_start_has_no_trace(pod: PodVersion, collector: Collector) -> None:
    with traced("pod-reconciler", collector.url) as tracer:
        under_way = Starts(live_view(), tracer)
        assert under_way.seen(pod) is NO_SPAN
        assert under_way.of(UID) is NO_SPAN


def test_a_start_under_another_leader_is_joined_by_its_report(collector: Collector) -> None:
    view = live_view(report_of(UID))
    with traced("pod-reconciler", collector.url) as tracer:
        under_way = Starts(view, tracer)
        shown(under_way, view, version())
        with tracer.arrived(ELSEWHERE):
            under_way.reported(UID)
        # What it leads to is done later, by a lane.
        with under_way.of(UID).here(), step("status.write"):
            pass
    (written,) = collector.spans
    assert f"00-{written.trace_id}-{written.parent_id}-01" == ELSEWHERE["traceparent"]


def test_a_start_of_ones_own_is_not_taken_over_by_a_report(collector: Collector) -> None:
    view = live_view()
    with traced("pod-reconciler", collector.url) as tracer:
        under_way = Starts(view, tracer)
        shown(under_way, view, version())
        with tracer.arrived(ELSEWHERE):
            under_way.reported(UID)
        under_way.of(UID).begin("status.write").end()
        under_way.leave("LeadershipLost")
    assert {each.trace_id for each in collector.spans} == {roots(collector)[0].trace_id}


def test_a_report_that_comes_before_its_pod_is_joined_and_one_that_is_made_up_is_not(
    collector: Collector,
) -> None:
    view = live_view(report_of(UID))
    view.on_report(report_of(UID), 0.0)
    made_up = PodUid("u/1")
    with traced("pod-reconciler", collector.url) as tracer:
        under_way = Starts(view, tracer)
        with tracer.arrived(ELSEWHERE):
            under_way.reported(UID)
            under_way.reported(made_up)
        under_way.look_at(UID)  # as when it is asked for by name
        shown(under_way, view, version())
        assert under_way.of(UID) is not NO_SPAN
        assert under_way.of(made_up) is NO_SPAN
        view.on_object_gone(UID, by_watch=True)
        view.records.clear()
        under_way.give_up()
        assert under_way.of(UID) is NO_SPAN


def test_each_end_that_is_no_start_is_told_as_such(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(under_way: Starts, _: NodeView) -> None:
        under_way.gone(UID)

    def refused(under_way: Starts, view: NodeView) -> None:
        status = {"phase": "Failed", "reason": "OutOfpods"}
        shown(under_way, view, version(status, resourceVersion="2"))
        under_way.look_at(UID)

    def lost(under_way: Starts, _: NodeView) -> None:
        under_way.leave("LeadershipLost")

    def slow(under_way: Starts, _: NodeView) -> None:
        under_way.give_up()

    monkeypatch.setattr(starts, "PATIENCE_S", -1.0)  # nobody is asked but `slow`
    with traced("pod-reconciler", collector.url) as tracer:
        for end in (gone, refused, lost, slow):
            view = live_view()
            under_way = Starts(view, tracer)
            shown(under_way, view, version())
            end(under_way, view)
            assert under_way.of(UID) is NO_SPAN, end
    ends = [root.error for root in roots(collector)]
    assert ends == ["Deleted", "OutOfpods", "LeadershipLost", "NotStartedInTime"]


def test_switched_off_nothing_is_kept() -> None:
    view = live_view()
    under_way = Starts(view, NO_TRACER)
    shown(under_way, view, version())
    under_way.reported(UID)
    assert not under_way._under_way
