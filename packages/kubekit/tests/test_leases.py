"""Who may take a Lease and when; pure, so time passes as fast as the test writes it."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubekit.errors import KubekitError
from kubekit.leases import ZERO, Contest, Lease, Move, Term, Timing, micro_time, released

WALL = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
_versions = itertools.count(1)


def lease(
    holder: str | None, *, renewed: str = "r1", transitions: int = 0, duration: int = 15
) -> Lease:
    return msgspec.convert(
        {
            "metadata": {
                "uid": "u",
                "resourceVersion": str(next(_versions)),
                "creationTimestamp": CREATED,
            },
            "spec": {
                "holderIdentity": holder,
                "renewTime": renewed,
                "leaseTransitions": transitions,
                "leaseDurationSeconds": duration,
            },
        },
        Lease,
    )


@pytest.mark.parametrize(
    ("seen", "leading", "after_s", "move"),
    [
        (None, False, 0, Move.CREATE),
        (lease("me"), True, 0, Move.RENEW),
        (lease("me"), False, 0, Move.TAKE),
        (lease(""), False, 0, Move.TAKE),
        (lease(None), False, 0, Move.TAKE),
        (lease("other"), False, 14.9, Move.WAIT),
        (lease("other"), False, 15, Move.TAKE),
        (lease("other", duration=30), False, 15, Move.WAIT),
        (lease("other", duration=1), False, 1, Move.TAKE),
        (lease("other"), True, 0, Move.WAIT),
    ],
)
def test_the_move_follows_from_what_was_seen_and_for_how_long(
    seen: Lease | None, after_s: float, move: Move, *, leading: bool
) -> None:
    contest = Contest("me", Timing())
    contest.observe(seen, 100.0)
    assert contest.move(100.0 + after_s, leading=leading) is move


def test_each_renewal_seen_starts_the_wait_anew() -> None:
    contest = Contest("me", Timing())
    for now in range(0, 100, 10):
        contest.observe(lease("other", renewed=f"r{now}"), float(now))
    assert contest.move(104.9, leading=False) is Move.WAIT
    assert contest.move(105.0, leading=False) is Move.TAKE


def test_another_version_with_the_same_content_does_not() -> None:
    contest = Contest("me", Timing())
    contest.observe(lease("other"), 0.0)
    contest.observe(lease("other"), 14.0)  # somebody put a label on it
    assert contest.move(15.0, leading=False) is Move.TAKE


def test_the_wall_clock_of_the_holder_is_not_believed() -> None:
    contest = Contest("me", Timing())
    contest.observe(lease("other", renewed="1970-01-01T00:00:00.000000Z"), 0.0)
    assert contest.move(1.0, leading=False) is Move.WAIT


@pytest.mark.parametrize(
    ("move", "before", "expected"),
    [
        (Move.CREATE, None, {"leaseTransitions": 0, "acquireTime": micro_time(WALL)}),
        (Move.TAKE, lease("other", transitions=4), {"leaseTransitions": 5}),
        (Move.TAKE, lease("me", transitions=4), {"leaseTransitions": 5}),
        (Move.TAKE, lease("", transitions=0), {"leaseTransitions": 1}),
    ],
)
def test_every_term_has_a_number_of_its_own(
    move: Move, before: Lease | None, expected: dict[str, Any]
) -> None:
    contest = Contest("me", Timing())
    contest.observe(before, 0.0)
    spec = contest.spec(move, WALL)
    assert spec["holderIdentity"] == "me"
    assert spec["leaseDurationSeconds"] == 15
    assert spec["renewTime"] == "2026-01-02T03:04:05.000006Z"
    assert expected.items() <= spec.items()


def test_a_renewal_leaves_the_term_alone() -> None:
    contest = Contest("me", Timing())
    contest.observe(lease("me", transitions=4), 0.0)
    spec = contest.spec(Move.RENEW, WALL)
    assert "leaseTransitions" not in spec
    assert "acquireTime" not in spec


def test_others_wait_at_least_as_long_as_the_holder_may_write() -> None:
    timing = Timing(lease_duration_s=1.4, renew_deadline_s=1.3, retry_period_s=0.1)
    written = Contest("me", timing).spec(Move.CREATE, WALL)["leaseDurationSeconds"]
    assert written >= timing.renew_deadline_s


def test_a_released_lease_is_free_at_once() -> None:
    spec = released(WALL)
    contest = Contest("me", Timing())
    contest.observe(lease(spec["holderIdentity"], duration=spec["leaseDurationSeconds"]), 0.0)
    assert contest.move(0.0, leading=False) is Move.TAKE


terms = st.builds(
    Term,
    created_at=st.datetimes(timezones=st.just(UTC)),
    uid=st.text("0123456789abcdef", min_size=1),
    transitions=st.integers(0),
)


@given(terms)
def test_a_static_term_is_lower_than_any(term: Term) -> None:
    if term.created_at >= ZERO.created_at:
        assert term > ZERO


def test_a_lease_made_anew_outranks_any_number_of_transitions() -> None:
    before = Term(created_at=CREATED, uid="z", transitions=99)
    after = Term(created_at=WALL, uid="a", transitions=0)
    assert after > before
    assert lease("x", transitions=7).term() == Term(created_at=CREATED, uid="u", transitions=7)


@given(st.lists(st.sampled_from(["alive", "silent"]), min_size=1, max_size=60))
def test_a_lease_is_never_taken_while_its_holder_may_still_write(seconds: list[str]) -> None:
    """A holder renews in `alive` seconds; whenever we may take, its deadline has passed."""
    timing = Timing()
    contest = Contest("me", timing)
    renewed_at, number = 0.0, 0
    for now, state in enumerate(seconds):
        holder_leads = now < renewed_at + timing.renew_deadline_s
        if state == "alive" and holder_leads:
            renewed_at, number = float(now), number + 1
        contest.observe(lease("other", renewed=f"r{number}"), float(now))
        if contest.move(float(now), leading=False) is Move.TAKE:
            assert now >= renewed_at + timing.renew_deadline_s
            return


@pytest.mark.parametrize("measures", [(10, 15, 2), (15, 15, 2), (15, 2, 2), (15, 10, 0)])
def test_measures_that_would_allow_two_leaders_are_refused(
    measures: tuple[float, float, float],
) -> None:
    duration, deadline, retry = measures
    with pytest.raises(KubekitError, match="lease duration"):
        Timing(lease_duration_s=duration, renew_deadline_s=deadline, retry_period_s=retry)


@pytest.mark.parametrize("whose", ["leader", "candidate"])
@pytest.mark.parametrize("step_h", [1, -1])
def test_a_wall_clock_that_steps_changes_no_leadership(whose: str, step_h: int) -> None:
    """For a minute of renewals: the leader renews, the other waits, and there is one term."""
    leader, candidate = Contest("me", Timing()), Contest("other", Timing())
    walls = {"leader": WALL, "candidate": WALL}
    held = lease("me", renewed=micro_time(WALL))
    for now in range(0, 60, 2):
        walls = {each: wall + timedelta(seconds=2) for each, wall in walls.items()}
        if now in (20, 40):
            walls[whose] += timedelta(hours=step_h if now == 20 else -step_h)
        leader.observe(held, float(now))
        candidate.observe(held, float(now) + 1)
        assert leader.move(float(now), leading=True) is Move.RENEW
        assert candidate.move(float(now) + 1, leading=False) is Move.WAIT
        spec = leader.spec(Move.RENEW, walls["leader"])
        assert "leaseTransitions" not in spec, "a renewal begins no term"
        held = lease("me", renewed=spec["renewTime"])
    # The leader is gone, and the other one's own clock says when.
    seen = 59.0
    assert candidate.move(seen + 14.8, leading=False) is Move.WAIT
    assert candidate.move(seen + 15.1, leading=False) is Move.TAKE
