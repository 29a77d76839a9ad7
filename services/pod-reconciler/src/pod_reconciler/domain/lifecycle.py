"""The states of a pod as the reconciler sees it, and what moves it from one to the next."""

from enum import StrEnum
from typing import Final

from pod_reconciler.errors import IllegalTransitionError


class PodState(StrEnum):
    """What there is to do about a pod."""

    SEEN = "seen"
    """Bound to the node; nobody has decided about it yet."""
    REFUSED = "refused"
    """Admission turned it away: it never runs."""
    ADMITTED = "admitted"
    """The node should run it."""
    ENDED = "ended"
    """The API shows a terminal phase: nothing of it may run any more."""
    DELETING = "deleting"
    """The API shows its deletion: what runs is to be stopped."""
    STOPPED = "stopped"
    """Deleted, and every container is dead: last status, then the grace-0 DELETE."""
    REMOVED = "removed"
    """The DELETE was accepted."""
    GONE = "gone"
    """The API object is gone, for certain: the node must forget the pod."""
    FORGOTTEN = "forgotten"
    """The node has promised to forget it."""


class PodEvent(StrEnum):
    """What happens to a pod."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    END_SEEN = "end-seen"
    DELETION_SEEN = "deletion-seen"
    STOPPED = "stopped"
    REMOVED = "removed"
    OBJECT_GONE = "object-gone"
    FORGOTTEN = "forgotten"
    REMEMBERED = "remembered"
    """The node's inventory still lists it."""


TRANSITIONS: Final[dict[PodState, dict[PodEvent, PodState]]] = {
    PodState.SEEN: {
        PodEvent.ADMITTED: PodState.ADMITTED,
        PodEvent.REFUSED: PodState.REFUSED,
        PodEvent.END_SEEN: PodState.ENDED,
        PodEvent.DELETION_SEEN: PodState.DELETING,
        PodEvent.OBJECT_GONE: PodState.GONE,
    },
    PodState.REFUSED: {
        PodEvent.END_SEEN: PodState.ENDED,
        PodEvent.DELETION_SEEN: PodState.DELETING,
        PodEvent.OBJECT_GONE: PodState.GONE,
    },
    PodState.ADMITTED: {
        PodEvent.END_SEEN: PodState.ENDED,
        PodEvent.DELETION_SEEN: PodState.DELETING,
        PodEvent.OBJECT_GONE: PodState.GONE,
    },
    PodState.ENDED: {
        PodEvent.DELETION_SEEN: PodState.DELETING,
        PodEvent.OBJECT_GONE: PodState.GONE,
    },
    PodState.DELETING: {
        PodEvent.STOPPED: PodState.STOPPED,
        PodEvent.OBJECT_GONE: PodState.GONE,
    },
    PodState.STOPPED: {
        PodEvent.REMOVED: PodState.REMOVED,
        PodEvent.OBJECT_GONE: PodState.GONE,
    },
    PodState.REMOVED: {PodEvent.OBJECT_GONE: PodState.GONE},
    PodState.GONE: {PodEvent.FORGOTTEN: PodState.FORGOTTEN},
    PodState.FORGOTTEN: {PodEvent.REMEMBERED: PodState.GONE},
}


def advance(state: PodState, event: PodEvent) -> PodState:
    """Return the next state, or raise `IllegalTransitionError`."""
    following = TRANSITIONS[state].get(event)
    if following is None:
        raise IllegalTransitionError(state, event)
    return following
