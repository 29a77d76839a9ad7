"""The table of pod states: complete, reachable, closed against what it does not name."""

import pytest

from pod_reconciler.domain.lifecycle import TRANSITIONS, PodEvent, PodState, advance
from pod_reconciler.errors import IllegalTransitionError


def test_every_state_has_a_row_and_every_event_a_use() -> None:
    assert set(TRANSITIONS) == set(PodState)
    assert {event for row in TRANSITIONS.values() for event in row} == set(PodEvent)


def test_every_state_is_reachable_from_the_first() -> None:
    reached = {PodState.SEEN}
    while more := {state for each in reached for state in TRANSITIONS[each].values()} - reached:
        reached |= more
    assert reached == set(PodState)


def test_from_every_state_a_pod_can_be_forgotten() -> None:
    for state in PodState:
        reached = {state}
        while more := {to for each in reached for to in TRANSITIONS[each].values()} - reached:
            reached |= more
        assert PodState.FORGOTTEN in reached


def test_an_event_that_a_state_does_not_know_is_refused() -> None:
    with pytest.raises(IllegalTransitionError):
        advance(PodState.GONE, PodEvent.ADMITTED)
    with pytest.raises(IllegalTransitionError):
        advance(PodState.ADMITTED, PodEvent.REMOVED)
