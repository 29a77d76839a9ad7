"""The liveness rule about a third of a pool."""

from contract.ids import NodeName
from node_registrar.domain.silence import Silences

WINDOW_S, TOLERANCE_S = 60.0, 600.0


def names(count: int) -> list[NodeName]:
    return [NodeName(f"n{number}") for number in range(count)]


def pool(size: int) -> Silences:
    silences = Silences(window_s=WINDOW_S, tolerance_s=TOLERANCE_S)
    for node in names(size):
        silences.note(node, 0.0, alive=True)
    return silences


def silent(silences: Silences, count: int, at: float, *, first: int = 0) -> None:
    for node in names(first + count)[first:]:
        silences.note(node, at, alive=False)


def tolerated(silences: Silences, count: int, now: float) -> list[bool]:
    return [silences.tolerated(node, now) for node in names(count)]


def test_more_than_a_third_is_a_fault_of_the_bus_and_a_third_is_not() -> None:
    for size, many in ((3, 2), (4, 2), (6, 3), (9, 4), (100, 34)):
        silences = pool(size)
        silent(silences, many - 1, 100.0)
        assert not any(tolerated(silences, size, 101.0)), size
        silent(silences, 1, 100.0, first=many - 1)
        assert tolerated(silences, size, 101.0) == [True] * many + [False] * (size - many)


def test_in_a_pool_of_two_every_silence_counts() -> None:
    silences = pool(2)
    silent(silences, 2, 100.0)
    assert not any(tolerated(silences, 2, 101.0))


def test_the_tolerance_ends() -> None:
    silences = pool(3)
    silent(silences, 3, 100.0)
    silent(silences, 3, 400.0)  # it is noted again and again, and began once
    assert all(tolerated(silences, 3, 100.0 + TOLERANCE_S - 1))
    assert not any(tolerated(silences, 3, 100.0 + TOLERANCE_S))


def test_nodes_that_die_one_by_one_are_not_taken_for_the_bus() -> None:
    silences = pool(6)
    for number in range(4):
        silent(silences, 1, 100.0 + number * (WINDOW_S + 1), first=number)
    assert not any(tolerated(silences, 6, 350.0))


def test_who_stays_silent_when_the_others_are_back_is_dead() -> None:
    silences = pool(4)
    silent(silences, 4, 100.0)
    for node in names(4)[1:]:
        silences.note(node, 130.0, alive=True)
    assert tolerated(silences, 4, 131.0) == [False] * 4


def test_a_leader_that_has_just_begun_keeps_the_ready_and_wakes_no_dead() -> None:
    silences = Silences(window_s=WINDOW_S, tolerance_s=TOLERANCE_S)
    for node in names(3):
        silences.note(node, 5.0, alive=False, ready=node != "n0")
    assert tolerated(silences, 3, 6.0) == [False, True, True]
    silences.note(names(1)[0], 7.0, alive=True)
    silences.note(names(1)[0], 8.0, alive=False, ready=False)
    assert tolerated(silences, 3, 9.0) == [True] * 3


def test_a_node_that_nobody_holds_is_none_of_the_pool() -> None:
    silences = pool(4)
    silent(silences, 1, 100.0)
    assert not silences.tolerated(names(1)[0], 101.0)
    silences.forget(names(4)[2])
    silences.forget(names(4)[3])
    silences.note(NodeName("n9"), 100.0, alive=False)
    assert silences.tolerated(names(1)[0], 101.0), "two of three"
