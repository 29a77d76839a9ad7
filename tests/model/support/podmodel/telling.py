"""What a leader has to say of a pod, as the reconciler's own writer has it."""

from datetime import datetime

import msgspec

from kubekit.patches import status_patch
from pod_reconciler.domain.conditions import with_times_of
from pod_reconciler.domain.duties import is_worth_writing
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.rendering import OWNERSHIP, render, render_refused
from pod_reconciler.domain.tracking import NodeView
from podmodel.validation import Json


def patch_of(view: NodeView, record: PodRecord, now: datetime) -> bytes | None:
    """What would have to be written now; None where the API shows it already."""
    pod = record.pod
    assert pod is not None
    patch = status_patch(record.uid, pod.status, rendered(view, record, now), OWNERSHIP)
    if patch is None:
        return None
    wanted = is_worth_writing(record, lambda: msgspec.json.decode(patch)["status"])
    return patch if wanted else None


def rendered(view: NodeView, record: PodRecord, now: datetime) -> Json:
    """The whole status."""
    pod, refusal = record.pod, record.refusal
    assert pod is not None
    if refusal is not None:
        return render_refused(pod, refusal.reason, refusal.message, now)
    if record.unsure_end is not None:
        return record.unsure_end
    assert record.report is not None
    around, withheld = view.surroundings, record.withheld
    status = render(pod, record.report, around, now, withheld=withheld)
    return with_times_of(record.attempted, status, pod.status)
