"""Names of a plan become folders and keys: whatever is no Kubernetes name is refused."""

import re
from typing import Final

from contract.messages.pod import PodPlan

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_UID: Final = re.compile(r"[A-Za-z0-9-]{1,128}")


def flaw_of(plan: PodPlan) -> str | None:
    """Return what is wrong with a plan's names, if anything is."""
    if _UID.fullmatch(plan.uid) is None:
        return f"{plan.uid!r} is not a UID"
    if _LABEL.fullmatch(plan.namespace) is None:
        return f"{plan.namespace!r} is not a namespace"
    if _NAME.fullmatch(plan.name) is None or ".." in plan.name:
        return f"{plan.name!r} is not a pod name"
    names = [each.name for each in plan.containers]
    if not names or len(set(names)) != len(names):
        return "a pod has containers, each with a name of its own"
    return next((f"{n!r} is not a container name" for n in names if not _LABEL.fullmatch(n)), None)
