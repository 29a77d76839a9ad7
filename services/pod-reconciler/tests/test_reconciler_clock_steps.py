"""A wall clock that steps by an hour: plans stay in order, and nothing waits longer for it."""

import time
from itertools import pairwise

import pytest

from pod_reconciler.bus import Revisions
from pod_reconciler.links import Links


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_revisions_grow_whatever_the_clock_does(step_s: float) -> None:
    wall_s = 1_800_000_000.0
    revisions, given = Revisions(lambda: wall_s), []
    for turn in range(20):
        wall_s += 0.5
        if turn in (5, 15):
            wall_s += step_s if turn == 5 else -step_s
        given.append(revisions.next())
    assert all(one < following for one, following in pairwise(given))


def test_after_a_clock_was_set_back_a_few_refusals_suffice() -> None:
    """A process that starts anew knows nothing of the numbers that were given before."""
    before = Revisions(lambda: 1_800_003_600.0).next()
    revisions, refusals = Revisions(lambda: 1_800_000_000.0), 0
    while revisions.next() <= before:
        revisions.push()
        refusals += 1
    assert refusals <= 12


def test_what_was_accepted_counts_as_no_refusal_of_what_comes_later() -> None:
    revisions = Revisions(lambda: 1_800_000_000.0)
    for _ in range(50):
        revisions.push()
        revisions.accepted()
    assert revisions.next() <= 1_800_000_000_000 + 50 * 1001


def test_waits_are_on_the_clock_that_nobody_sets() -> None:
    assert Links.__struct_defaults__[-1] is time.monotonic
