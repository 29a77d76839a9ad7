"""Ephemeral containers that cannot be had: they are left out of the plan, and their pod runs on.

Such a container comes to a pod that was admitted long ago, so there is nothing left to reject; its
own status says what is wrong, as the kubelet says it of a container that it cannot create.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from contract.messages.pod import ContainerRole
from pod_reconciler.domain.planning import container_plan
from pod_reconciler.domain.pod import PlacedContainer, Pod
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.surroundings import Surroundings
from pod_reconciler.errors import PlanError
from podspec.reviewing import review


def withheld_of(pod: Pod, raw: bytes, around: Surroundings) -> dict[str, str]:
    """The names of the containers to be withheld, with the reason."""
    if not pod.spec.ephemeral_containers:
        return {}
    found = review(msgspec.json.decode(raw)).refused
    faults = {}
    for placed in pod.spec.placed():
        if placed.role is ContainerRole.EPHEMERAL:
            refused = [each for each in found if _is_below(each.path, placed.path)]
            fault = str(refused[0]) if refused else _plan_fault(placed, pod, around)
            if fault:
                faults[placed.container.name] = fault
    return faults


def untold(record: PodRecord, withheld: Mapping[str, str]) -> dict[str, str]:
    """Those of which neither this reconciler has told, nor the API's status."""
    assert record.pod is not None
    known = {
        status["name"]: status.get("state", {}).get("waiting", {}).get("message")
        for status in record.pod.status.get("ephemeralContainerStatuses") or ()
    } | {name: message for name, message in record.withheld.items() if name not in record.untold}
    return {name: message for name, message in withheld.items() if known.get(name) != message}


def without_ephemeral(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The pod that admission judges."""
    spec = pod.get("spec")
    if not isinstance(spec, Mapping):
        return dict(pod)
    kept = {field: value for field, value in spec.items() if field != "ephemeralContainers"}
    return {**pod, "spec": kept}


def _is_below(path: str, owner: str) -> bool:
    return path == owner or path.startswith(f"{owner}.")


def _plan_fault(placed: PlacedContainer, pod: Pod, around: Surroundings) -> str:
    try:
        container_plan(placed, pod, around)
    except PlanError as error:
        return str(error)
    return ""
