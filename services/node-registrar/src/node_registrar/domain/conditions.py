"""The four conditions of a Node, in the kubelet's order, reasons and words.

`Ready` comes last. `lastTransitionTime` moves only when the status does, `lastHeartbeatTime` with
every write; a condition whose only news is its heartbeat is no reason to write.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from node_registrar.domain.times import whole_time


class Pressures(msgspec.Struct, frozen=True, kw_only=True):
    """What the executor says about its machine."""

    memory: bool = False
    disk: bool = False
    pid: bool = False


class Face(NamedTuple):
    """How one condition looks in one state, and the Event that says it came to this."""

    status: str
    reason: str
    message: str
    event: str


type Condition = dict[str, Any]

READY: Final = "Ready"

_PRESSURE: Final[dict[str, dict[bool, Face]]] = {
    "MemoryPressure": {
        False: Face(
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available",
            "NodeHasSufficientMemory",
        ),
        True: Face(
            "True",
            "KubeletHasInsufficientMemory",
            "kubelet has insufficient memory available",
            "NodeHasInsufficientMemory",
        ),
    },
    "DiskPressure": {
        False: Face(
            "False",
            "KubeletHasNoDiskPressure",
            "kubelet has no disk pressure",
            "NodeHasNoDiskPressure",
        ),
        True: Face(
            "True", "KubeletHasDiskPressure", "kubelet has disk pressure", "NodeHasDiskPressure"
        ),
    },
    "PIDPressure": {
        False: Face(
            "False",
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available",
            "NodeHasSufficientPID",
        ),
        True: Face(
            "True",
            "KubeletHasInsufficientPID",
            "kubelet has insufficient PID available",
            "NodeHasInsufficientPID",
        ),
    },
}

ORDER: Final = (*_PRESSURE, READY)


class Happening(NamedTuple):
    """A Node Event that a change of conditions calls for."""

    reason: str
    message: str


def faces(pressures: Pressures, problems: Sequence[str]) -> dict[str, Face]:
    """Return how each condition looks now, in order. Any problem makes the Node not ready."""
    shown = {
        "MemoryPressure": _PRESSURE["MemoryPressure"][pressures.memory],
        "DiskPressure": _PRESSURE["DiskPressure"][pressures.disk],
        "PIDPressure": _PRESSURE["PIDPressure"][pressures.pid],
    }
    shown[READY] = (
        Face("False", "KubeletNotReady", ", ".join(problems), "NodeNotReady")
        if problems
        else Face("True", "KubeletReady", "kubelet is posting ready status", "NodeReady")
    )
    return shown


def rendered(
    shown: Mapping[str, Face], before: Mapping[str, Condition], now: datetime
) -> list[Condition]:
    """Return the conditions to write; `before` is what the API has."""
    return [_condition(kind, face, before.get(kind), now) for kind, face in shown.items()]


def _condition(kind: str, face: Face, before: Condition | None, now: datetime) -> Condition:
    stands = before is not None and before.get("status") == face.status
    since = before.get("lastTransitionTime") if before is not None and stands else None
    return {
        "type": kind,
        "status": face.status,
        "reason": face.reason,
        "message": face.message,
        "lastHeartbeatTime": whole_time(now),
        "lastTransitionTime": since or whole_time(now),
    }


def differs(shown: Mapping[str, Face], before: Mapping[str, Condition]) -> bool:
    """Say whether the API shows anything else than this, heartbeats apart."""
    return any(
        (before.get(kind) or {}).get(field) != getattr(face, field)
        for kind, face in shown.items()
        for field in ("status", "reason", "message")
    )


def happenings(
    shown: Mapping[str, Face], before: Mapping[str, Condition], node: str
) -> Iterable[Happening]:
    """Return the Events for the conditions whose status changes.

    As from the kubelet, a new pressure condition gets one and a new `Ready` gets none.
    """
    for kind, face in shown.items():
        known = before.get(kind)
        if known is None and kind == READY:
            continue
        if known is None or known.get("status") != face.status:
            yield Happening(face.event, f"Node {node} status is now: {face.event}")
