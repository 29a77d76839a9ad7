"""The tables of container states, checked as tables."""

import pytest

from wasm_executor.domain.states import (
    SHOWS,
    TRANSITIONS,
    Event,
    Form,
    IllegalTransitionError,
    Phase,
    advance,
)


def test_every_state_has_a_row_and_a_form() -> None:
    assert set(TRANSITIONS) == set(SHOWS) == set(Phase)


def test_every_state_can_be_reached_from_the_first() -> None:
    reached, frontier = {Phase.PENDING}, [Phase.PENDING]
    while frontier:
        following = set(TRANSITIONS[frontier.pop()].values()) - reached
        reached |= following
        frontier += following
    assert reached == set(Phase)


def test_the_end_leads_to_a_new_beginning_alone_and_every_other_state_leads_to_the_end() -> None:
    assert TRANSITIONS[Phase.ENDED] == {Event.RESET: Phase.PENDING}
    ending = {Phase.ENDED}
    while (
        grown := {phase for phase, row in TRANSITIONS.items() if ending & set(row.values())}
        - ending
    ):
        ending |= grown
    assert ending == set(Phase)


def test_every_event_moves_something() -> None:
    assert {event for row in TRANSITIONS.values() for event in row} == set(Event)


def test_only_the_end_is_shown_as_terminated_by_its_state_alone() -> None:
    assert [phase for phase, form in SHOWS.items() if form is Form.TERMINATED] == [Phase.ENDED]


def test_a_way_that_the_table_does_not_have_is_refused() -> None:
    with pytest.raises(IllegalTransitionError, match="started while ended"):
        advance(Phase.ENDED, Event.STARTED)
