"""Who writes asks the election first, and gets no more time than the leadership has left."""

import asyncio

import pytest

from kubekit.errors import NotLeadingError
from kubekit.leadership import StaticTerm
from kubekit.leases import ZERO, Term
from pod_reconciler.bus import Revisions
from pod_reconciler.links import Links
from pod_reconciler.settings import Settings


class Ending(StaticTerm):
    """A leadership that has two seconds left, or none."""

    left_s = 2.0

    def assert_leading(self) -> Term:
        if self.left_s <= 0:
            raise NotLeadingError("it has ended")
        return ZERO

    def request_timeout_s(self, maximum: float) -> float:
        self.assert_leading()
        return min(maximum, self.left_s)


def links(leadership: StaticTerm) -> Links:
    return Links(
        settings=Settings(kubeconfig="unused", write_timeout_s=10),
        cluster=None,  # type: ignore[arg-type]  # no write is made
        executors=None,  # type: ignore[arg-type]  # no command is sent
        leadership=leadership,
        write_slots=asyncio.Semaphore(),
    )


def test_a_write_never_takes_longer_than_the_leadership_lasts() -> None:
    assert links(StaticTerm()).write_timeout_s() == 10
    assert links(Ending()).write_timeout_s() == 2


def test_without_leadership_there_is_neither_term_nor_time() -> None:
    leadership = Ending()
    leadership.left_s = 0
    with pytest.raises(NotLeadingError):
        links(leadership).term()
    with pytest.raises(NotLeadingError):
        links(leadership).write_timeout_s()


def test_revisions_grow_over_a_restart_and_over_a_clock_that_was_set_back() -> None:
    now_s = 1000.0
    revisions = Revisions(lambda: now_s)
    first, second = revisions.next(), revisions.next()
    now_s = 1000.5
    assert first < second < Revisions(lambda: now_s).next()
    now_s = 10.0
    restarted = Revisions(lambda: now_s)
    tries = 0
    while restarted.next() <= second:
        restarted.push()
        tries += 1
    assert tries < 15
