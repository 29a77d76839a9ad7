"""The states of one container and the ways between them, as data.

`advance` is all that moves a container; whatever the table does not name is a defect of the caller
and changes nothing. A second table says what each state shows in `containerStatuses`.
"""

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where a container is."""

    PENDING = "pending"
    """Its turn in the pod has not come."""
    PREPARING = "preparing"
    """Its image is found, pulled, compiled."""
    NOT_PREPARED = "not-prepared"
    """The attempt's own reason is shown."""
    IMAGE_BACK_OFF = "image-back-off"
    """It waits for the next attempt at its image."""
    STARTING = "starting"
    """Its process is made; the guest has not begun."""
    POST_START = "post-start"
    """It runs, and so does its postStart hook: until that is done, nobody is shown that it runs, no
    probe is asked, and the next container waits."""
    RUNNING = "running"
    """The guest runs, and is probed."""
    LEAVING = "leaving"
    """It shall end: its preStop hook runs, or others have to end before it."""
    STOPPING = "stopping"
    """Told to end, still running."""
    START_FAILED = "start-failed"
    """The runtime refused it, or its postStart hook failed; the reason is shown before the back-off
    is."""
    CRASH_BACK_OFF = "crash-back-off"
    """It waits for its next run."""
    ENDED = "ended"
    """For good: nothing starts it again."""


class Event(StrEnum):
    """What happens to a container, decisions included."""

    BEGUN = "begun"
    IMAGE_READY = "image-ready"
    PREPARATION_FAILED = "preparation-failed"
    SHOWN_ENOUGH = "shown-enough"
    DELAY_PASSED = "delay-passed"
    STARTED = "started"
    STARTED_WITH_HOOK = "started-with-hook"
    HOOK_DONE = "hook-done"
    NOT_STARTED = "not-started"
    NOT_STARTED_FOR_GOOD = "not-started-for-good"
    LEAVE_BEGUN = "leave-begun"
    STOP_SENT = "stop-sent"
    ENDED_RESTARTS = "ended-restarts"
    ENDED_BACKS_OFF = "ended-backs-off"
    ENDED_UNHOOKED = "ended-unhooked"
    """Ended for its postStart hook, which failed, and waits for its next run."""
    ENDED_FOR_GOOD = "ended-for-good"
    DISCARDED = "discarded"
    """The pod ends while no process of this container exists."""
    RESET = "reset"
    """All containers of the pod begin anew."""


class Form(StrEnum):
    """What a state shows."""

    WAITING = "waiting"
    """The container's current reason and message."""
    AS_BEFORE = "as-before"
    """Whatever was shown when the state was entered: a prompt step is nobody's news."""
    RUNNING = "running"
    """Of a run whose postStart hook has failed: as before."""
    TERMINATED = "terminated"


TRANSITIONS: Final[dict[Phase, dict[Event, Phase]]] = {
    Phase.PENDING: {
        Event.BEGUN: Phase.PREPARING,
        Event.DISCARDED: Phase.ENDED,
    },
    Phase.PREPARING: {
        Event.IMAGE_READY: Phase.STARTING,
        Event.PREPARATION_FAILED: Phase.NOT_PREPARED,
        Event.DISCARDED: Phase.ENDED,
    },
    Phase.NOT_PREPARED: {
        Event.SHOWN_ENOUGH: Phase.IMAGE_BACK_OFF,
        Event.DELAY_PASSED: Phase.PREPARING,
        Event.DISCARDED: Phase.ENDED,
    },
    Phase.IMAGE_BACK_OFF: {
        Event.DELAY_PASSED: Phase.PREPARING,
        Event.DISCARDED: Phase.ENDED,
    },
    Phase.STARTING: {
        Event.STARTED: Phase.RUNNING,
        Event.STARTED_WITH_HOOK: Phase.POST_START,
        Event.NOT_STARTED: Phase.START_FAILED,
        Event.NOT_STARTED_FOR_GOOD: Phase.ENDED,
        # No process came of it: what was prepared is of no use now.
        Event.PREPARATION_FAILED: Phase.NOT_PREPARED,
    },
    Phase.POST_START: {
        Event.HOOK_DONE: Phase.RUNNING,
        Event.LEAVE_BEGUN: Phase.LEAVING,
        Event.ENDED_RESTARTS: Phase.PREPARING,
        Event.ENDED_BACKS_OFF: Phase.CRASH_BACK_OFF,
        Event.ENDED_FOR_GOOD: Phase.ENDED,
    },
    Phase.RUNNING: {
        Event.LEAVE_BEGUN: Phase.LEAVING,
        Event.ENDED_RESTARTS: Phase.PREPARING,
        Event.ENDED_BACKS_OFF: Phase.CRASH_BACK_OFF,
        Event.ENDED_FOR_GOOD: Phase.ENDED,
    },
    Phase.LEAVING: {
        Event.STOP_SENT: Phase.STOPPING,
        Event.ENDED_RESTARTS: Phase.PREPARING,
        Event.ENDED_BACKS_OFF: Phase.CRASH_BACK_OFF,
        Event.ENDED_UNHOOKED: Phase.START_FAILED,
        Event.ENDED_FOR_GOOD: Phase.ENDED,
    },
    Phase.STOPPING: {
        Event.ENDED_RESTARTS: Phase.PREPARING,
        Event.ENDED_BACKS_OFF: Phase.CRASH_BACK_OFF,
        Event.ENDED_UNHOOKED: Phase.START_FAILED,
        Event.ENDED_FOR_GOOD: Phase.ENDED,
    },
    Phase.START_FAILED: {
        Event.SHOWN_ENOUGH: Phase.CRASH_BACK_OFF,
        Event.DELAY_PASSED: Phase.PREPARING,
        Event.DISCARDED: Phase.ENDED,
    },
    Phase.CRASH_BACK_OFF: {
        Event.DELAY_PASSED: Phase.PREPARING,
        Event.DISCARDED: Phase.ENDED,
    },
    Phase.ENDED: {
        Event.RESET: Phase.PENDING,
    },
}

SHOWS: Final[dict[Phase, Form]] = {
    Phase.PENDING: Form.AS_BEFORE,
    Phase.PREPARING: Form.AS_BEFORE,
    Phase.NOT_PREPARED: Form.WAITING,
    Phase.IMAGE_BACK_OFF: Form.WAITING,
    Phase.STARTING: Form.AS_BEFORE,
    Phase.POST_START: Form.AS_BEFORE,
    Phase.RUNNING: Form.RUNNING,
    Phase.LEAVING: Form.RUNNING,
    Phase.STOPPING: Form.RUNNING,
    Phase.START_FAILED: Form.WAITING,
    Phase.CRASH_BACK_OFF: Form.WAITING,
    Phase.ENDED: Form.TERMINATED,
}

STAYING: Final = frozenset({Phase.POST_START, Phase.RUNNING})
"""It runs, and nobody wants it to end."""

ALIVE: Final = STAYING | {Phase.LEAVING, Phase.STOPPING}
"""A process of the container exists and has started."""

UNPREPARED: Final = frozenset({Phase.NOT_PREPARED, Phase.IMAGE_BACK_OFF})
"""It waits for the next attempt to have what it needs."""

UNDERWAY: Final = ALIVE | {Phase.STARTING}
"""A process of the container may exist."""

UNSETTLED: Final = frozenset({Phase.PREPARING, Phase.STARTING, Phase.POST_START})
"""Something else is about to be true: a report may wait a moment for it. A pending container waits
for another one, and shows what it will show until that one moves."""
MAY_TAKE_LONG: Final = frozenset({Phase.PREPARING, Phase.POST_START})
"""Of these, what is worth only a short wait."""


class IllegalTransitionError(Exception):
    """The caller asked for a way that the table does not have: a defect."""

    def __init__(self, phase: Phase, event: Event) -> None:
        self.phase = phase
        self.event = event
        super().__init__(f"{event} while {phase}")


def advance(phase: Phase, event: Event) -> Phase:
    """Return where this event leads, or raise."""
    following = TRANSITIONS[phase].get(event)
    if following is None:
        raise IllegalTransitionError(phase, event)
    return following
