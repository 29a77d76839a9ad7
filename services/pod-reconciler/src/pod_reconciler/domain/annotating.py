"""Annotations that allow no plan: a pod that was taken on goes by what held before, and is told so.

Annotations may change while a pod runs, so there is nothing left to reject. Were it not planned for
one that is wrong, it would never see new material, and could not be deleted. What held before is in
this process's memory alone: under another leader such a pod goes without the annotation.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from pod_reconciler.domain.planning import Planned, planned
from pod_reconciler.domain.pod import Pod
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.surroundings import Surroundings
from pod_reconciler.domain.withholding import withheld_of
from pod_reconciler.errors import PlanError


class Made(NamedTuple):
    """A plan, and what it was made without."""

    planned: Planned
    annotations: Mapping[str, str]
    """Those that it was made by."""
    withheld: Mapping[str, str]
    faults: Mapping[str, str]
    """The annotations that it was not made by, with the reason."""


def planned_anyway(record: PodRecord, around: Surroundings) -> Made:
    """Plan a record's pod; raises `PlanError`, of an annotation only for a pod that is new."""
    assert record.pod is not None
    pod, faults = record.pod, dict[str, str]()
    while True:
        withheld = withheld_of(pod, record.raw, around)
        try:
            plan = planned(pod, around, withheld)
        except PlanError as error:
            name = error.annotation
            if record.is_new or name not in pod.metadata.annotations:
                raise
            # What held before is tried once, for the pod may have changed beside it.
            before = None if name in faults else record.annotations.get(name)
            faults.setdefault(name, str(error))
            pod = _with(pod, name, before)
        else:
            return Made(plan, pod.metadata.annotations, withheld, faults)


def _with(pod: Pod, name: str, value: str | None) -> Pod:
    """The pod with this value of an annotation, or without the annotation."""
    kept = {key: text for key, text in pod.metadata.annotations.items() if key != name}
    annotations = kept if value is None else {**kept, name: value}
    metadata = msgspec.structs.replace(pod.metadata, annotations=annotations)
    return msgspec.structs.replace(pod, metadata=metadata)
