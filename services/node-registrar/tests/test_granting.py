"""Who gets a Node's name: every row of the table, and what no sequence of claims may break."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.messages.form import Incarnation
from node_registrar.domain.granting import (
    INCARNATION,
    OUTCOMES,
    RELEASED,
    VACANT_GRANT,
    Claim,
    Grant,
    Outcome,
    Tenure,
    annotations_of,
    claim,
    decide,
    evicted,
    grant_of,
    tenure,
)

LEASE_S = 40.0


def life(executor_id: str = "a", start_count: int = 1) -> Incarnation:
    return Incarnation(executor_id=executor_id, start_count=start_count)


HELD = Grant(holder=life("a", 2))
lives = st.builds(life, st.sampled_from("abc"), st.integers(1, 4))


def test_every_tenure_has_an_answer_for_every_claim() -> None:
    assert set(OUTCOMES) == set(Tenure)
    assert all(set(row) == set(Claim) for row in OUTCOMES.values())


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (life("a", 2), Claim.SAME),
        (life("a", 3), Claim.NEWER),
        (life("a", 1), Claim.OLDER),
        (life("b", 9), Claim.OTHER),
    ],
)
def test_a_claim_is_seen_from_the_holder(who: Incarnation, expected: Claim) -> None:
    assert claim(HELD, who) is expected


@pytest.mark.parametrize(
    ("silent_s", "healthy", "expected"),
    [
        (0.0, None, Tenure.HELD),
        (40.0, False, Tenure.HELD),
        (40.1, None, Tenure.SILENT),
        (40.1, True, Tenure.HELD),
        (40.1, False, Tenure.DEAD),
    ],
)
def test_a_holder_is_dead_only_when_silent_and_unhealthy(
    silent_s: float,
    healthy: bool | None,  # noqa: FBT001 - a column of the table
    expected: Tenure,
) -> None:
    assert tenure(HELD, silent_s=silent_s, lease_s=LEASE_S, healthy=healthy) is expected


def test_a_name_that_was_given_back_is_free_at_once() -> None:
    released = Grant(holder=life(), released=True)
    known = tenure(released, silent_s=0, lease_s=LEASE_S, healthy=None)
    assert decide(known, Claim.OTHER) is Outcome.GRANT
    assert decide(known, Claim.OLDER) is Outcome.REFUSE


def test_only_another_id_has_to_hear_of_its_eviction() -> None:
    assert evicted(HELD, life("b")) == "a"
    assert evicted(HELD, life("a", 3)) is None
    assert evicted(VACANT_GRANT, life("b")) is None


def test_a_grant_survives_its_annotations() -> None:
    for grant in (HELD, Grant(holder=life("a/b", 7), released=True), VACANT_GRANT):
        recorded = {key: value for key, value in annotations_of(grant).items() if value}
        assert grant_of(recorded) == grant


def test_a_release_of_an_earlier_holder_does_not_release_the_present_one() -> None:
    assert grant_of({INCARNATION: "b/1", RELEASED: "a/2"}) == Grant(holder=life("b"))


@pytest.mark.parametrize("text", ["", "a", "/1", "a/", "a/x", "a/-1", "a/²"])
def test_an_unreadable_annotation_records_nobody(text: str) -> None:
    assert grant_of({INCARNATION: text}) == VACANT_GRANT


class Step(NamedTuple):
    who: Incarnation
    silent_s: float
    healthy: bool
    releases: bool


steps = st.builds(Step, lives, st.sampled_from([0.0, 39.0, 41.0]), st.booleans(), st.booleans())


@given(st.lists(steps, max_size=30))
def test_a_living_holder_keeps_its_name_from_every_other_id(script: list[Step]) -> None:
    grant = VACANT_GRANT
    for step in script:
        before = grant
        known = tenure(grant, silent_s=step.silent_s, lease_s=LEASE_S, healthy=None)
        outcome = decide(known, claim(grant, step.who))
        if outcome is Outcome.PROBE:
            known = tenure(grant, silent_s=step.silent_s, lease_s=LEASE_S, healthy=step.healthy)
            outcome = decide(known, claim(grant, step.who))
            assert outcome is not Outcome.PROBE
        if outcome is Outcome.GRANT:
            grant = Grant(holder=step.who)
        if evicted(before, step.who) and outcome is Outcome.GRANT:
            assert before.released or (step.silent_s > LEASE_S and not step.healthy)
        if before.holder and before.holder.executor_id == step.who.executor_id:
            # Of one id, no earlier life ever comes after a later one.
            granted = outcome in (Outcome.GRANT, Outcome.CONFIRM)
            assert not granted or step.who.start_count >= before.holder.start_count
        if step.releases and grant.held_by(step.who):
            grant = Grant(holder=step.who, released=True)
