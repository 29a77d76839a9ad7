"""What a leader has to say of a pod, as the reconciler's own writer has it."""

from datetime import datetime

import msgspec

from kubekit.patches import status_patch
from pod_reconciler.domain.duties import is_worth_writing
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.rendering import OWNERSHIP
from pod_reconciler.domain.telling import status_of
from pod_reconciler.domain.tracking import NodeView


def patch_of(view: NodeView, record: PodRecord, now: datetime) -> bytes | None:
    """What would have to be written now; None where the API shows it already."""
    pod = record.pod
    assert pod is not None
    patch = status_patch(record.uid, pod.status, status_of(view, record, now), OWNERSHIP)
    if patch is None:
        return None
    wanted = is_worth_writing(record, lambda: msgspec.json.decode(patch)["status"])
    return patch if wanted else None
