"""A service gives memory back when work is over, and never while there is any."""

import asyncio
import gc
import weakref

from servicekit.resting import Rest, tidy_at_rest


def looks(*shares: float) -> list[bool]:
    """What is found by looks every ten seconds, of which so much was work."""
    rest, used_s, found = Rest(0.0), 0.0, list[bool]()
    for share in shares:
        used_s += 10.0 * share
        found.append(rest.begins(used_s, 10.0))
    return found


def test_rest_begins_once_after_work_at_the_second_idle_look() -> None:
    assert looks(0.01, 0.6, 0.01, 0.01, 0.01, 0.01) == [False, False, False, True, False, False]


def test_idleness_without_work_before_it_is_nothing_new() -> None:
    assert not any(looks(0.01, 0.01, 0.01, 0.12, 0.01, 0.01))


def test_idle_looks_count_in_a_row() -> None:
    assert looks(0.9, 0.01, 0.15, 0.01, 0.01) == [False, False, False, False, True]


def test_work_that_a_busy_machine_draws_out_is_work() -> None:
    assert looks(0.15, 0.15, 0.15, 0.01, 0.01) == [False, False, False, False, True]


def test_what_trickles_out_for_long_is_given_back_meanwhile() -> None:
    found = looks(0.9, *[0.09] * 8)
    assert [look for look, begins in enumerate(found) if begins] == [2, 5, 8]


def test_each_work_has_its_rest() -> None:
    assert looks(0.9, 0.0, 0.0, 0.9, 0.0, 0.0) == [False, False, True, False, False, True]


class Knot:
    """Something that only the collector can free."""

    def __init__(self) -> None:
        self.own = self


async def test_what_only_the_collector_can_free_is_freed_at_rest() -> None:
    times = iter([0.0, *[3.0] * 1000])
    gc.disable()
    try:
        knot = weakref.ref(Knot())
        assert knot() is not None
        tidy_at_rest(asyncio.get_running_loop(), interval_s=0.01, used_s=lambda: next(times))
        async with asyncio.timeout(10):
            while knot() is not None:
                await asyncio.sleep(0.01)
    finally:
        gc.enable()
