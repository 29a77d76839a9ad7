"""A node that makes reports up is told of, and cannot fill the log."""

import msgspec
from reconciler_samples import live_view, report_of
from structlog.testing import capture_logs

from contract.messages.report import PodReported
from pod_reconciler.dropping import QUIET_S, DroppedReports


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def made_up(number: int) -> PodReported:
    return msgspec.structs.replace(report_of(f"u-{number}"), name="../x")


def test_what_nobody_keeps_track_of_is_told_once_in_a_while() -> None:
    view, clock = live_view(), Clock()
    dropped = DroppedReports(view, clock)
    with capture_logs() as told:
        for number in range(100):
            dropped.tell(made_up(number), view.on_report(made_up(number), 0.0))
        clock.now_s += QUIET_S
        dropped.tell(made_up(100), view.on_report(made_up(100), 0.0))
    assert [line["pod_uid"] for line in told] == ["u-0", "u-100"]


def test_each_stranger_is_told() -> None:
    view = live_view()
    dropped = DroppedReports(view, Clock())
    with capture_logs() as told:
        for number in range(3):
            report = report_of(f"u-{number}")
            dropped.tell(report, view.on_report(report, 0.0))
    assert [line["pod_uid"] for line in told] == ["u-0", "u-1", "u-2"]
