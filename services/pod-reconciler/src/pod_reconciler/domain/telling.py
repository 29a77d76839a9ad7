"""The status that there is to tell of a pod, whoever knows it: its node, or who turned it away."""

from datetime import datetime

from pod_reconciler.domain.conditions import with_others_of, with_times_of
from pod_reconciler.domain.pod import Json
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.rendering import render, render_refused
from pod_reconciler.domain.tracking import NodeView


def status_of(view: NodeView, record: PodRecord, now: datetime) -> Json:
    """The whole status, with the times of an attempt to write it that was not answered."""
    assert record.pod is not None
    return with_times_of(record.attempted, _rendered(view, record, now), record.pod.status)


def _rendered(view: NodeView, record: PodRecord, now: datetime) -> Json:
    pod, refusal = record.pod, record.refusal
    assert pod is not None
    if refusal is not None:
        return render_refused(pod, refusal.reason, refusal.message, now)
    if record.unsure_end is not None:
        return with_others_of(pod.status, record.unsure_end)
    assert record.report is not None, "nothing is due before the node has reported"
    return render(pod, record.report, view.surroundings, now, withheld=record.withheld)
