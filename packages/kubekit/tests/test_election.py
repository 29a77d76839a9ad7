"""The elector against recorded answers, and on a clock that the test turns."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from kubekit.client import connected
from kubekit.election import Elector
from kubekit.errors import NotLeadingError
from kubekit.kubeconfig import Connection
from kubekit.leases import Timing
from kubekit.testing import End, RecordedServer, Reply, json_reply, status_reply, until

# The retry period is real time (the loop's), the deadline is on the turned clock.
QUICK = Timing(lease_duration_s=15, renew_deadline_s=10, retry_period_s=0.02)
LEASES = "/apis/coordination.k8s.io/v1/namespaces/ns/leases"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Campaign:
    """An elector that runs, its clock, and what its callbacks said."""

    def __init__(self, elector: Elector, clock: Clock) -> None:
        self.elector = elector
        self.clock = clock
        self.heard: list[str] = []
        elector.on_started = lambda term: self.heard.append(f"started {term.transitions}")
        elector.on_stopped = lambda: self.heard.append("stopped")

    def lease(self, holder: str | None = None, *, version: str, transitions: int = 0) -> Reply:
        return json_reply(
            {
                "metadata": {
                    "uid": "u",
                    "resourceVersion": version,
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                },
                "spec": {
                    "holderIdentity": self.elector.identity if holder is None else holder,
                    "leaseDurationSeconds": 15,
                    "renewTime": version,
                    "leaseTransitions": transitions,
                },
            }
        )


@contextlib.asynccontextmanager
async def campaign(server: RecordedServer, timing: Timing = QUICK) -> AsyncIterator[Campaign]:
    clock = Clock()
    async with connected(Connection(server=server.url), user_agent="t") as api:
        elector = Elector(api, namespace="ns", name="l", identity="me", timing=timing, clock=clock)
        yield Campaign(elector, clock)


@contextlib.asynccontextmanager
async def running(campaigned: Campaign) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(campaigned.elector.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def leads(my: Campaign) -> bool:
    """Asked through a function, for the type checker believes that a property keeps its value."""
    return my.elector.is_leading


def sent(server: RecordedServer, kind: str) -> list[Any]:
    return [msgspec.json.decode(asked.body) for asked in server.of(kind)]


async def test_a_lease_that_is_not_there_is_made_renewed_and_given_back(
    server: RecordedServer,
) -> None:
    async with campaign(server) as my:
        server.will("get", status_reply(404, "NotFound"))
        server.will("POST", my.lease(version="1"))
        server.will("PATCH", *[my.lease(version=str(version)) for version in range(2, 200)])
        async with running(my):
            term = await my.elector.leading()
            assert my.elector.assert_leading() == term
            await until(lambda: len(server.of("PATCH")) >= 2)
        assert not my.elector.is_leading
        assert my.heard == ["started 0", "stopped"]

    (created,) = sent(server, "POST")
    assert created["metadata"] == {"name": "l"}
    assert created["spec"]["holderIdentity"].startswith("me_")
    assert [asked.path for asked in server.asked][:3] == [f"{LEASES}/l", LEASES, f"{LEASES}/l"]
    first, *_, last = sent(server, "PATCH")
    assert first["metadata"] == {"uid": "u", "resourceVersion": "1"}
    assert "leaseTransitions" not in first["spec"]
    assert last["spec"]["holderIdentity"] == ""
    assert last["spec"]["leaseDurationSeconds"] == 1


async def test_leadership_ends_on_the_clock_even_if_the_loop_stands_still(
    server: RecordedServer,
) -> None:
    async with campaign(server) as my:
        server.will("get", my.lease("", version="1"))
        server.will("PATCH", my.lease(version="2", transitions=1))
        server.will("PATCH", Reply(end=End.HELD))
        async with running(my):
            await my.elector.leading()
            assert my.elector.request_timeout_s(30) <= 10
            assert my.elector.request_timeout_s(3) == 3
            my.clock.now += 9.9
            assert leads(my)
            assert my.elector.request_timeout_s(3) < 0.2

            my.clock.now += 0.2  # no await in between: the loop has had no chance to notice
            assert not leads(my)
            assert my.elector.deadline_left_s() == 0
            with pytest.raises(NotLeadingError):
                my.elector.assert_leading()
            with pytest.raises(NotLeadingError):
                my.elector.request_timeout_s(3)


async def test_a_lapsed_term_is_not_taken_up_again_but_a_new_one_begun(
    server: RecordedServer,
) -> None:
    async with campaign(server) as my:
        server.will("get", my.lease("", version="1"), my.lease(version="2", transitions=1))
        server.will("PATCH", my.lease(version="2", transitions=1))
        server.will("PATCH", *[status_reply(500, "InternalError")] * 3)
        async with running(my):
            first = await my.elector.leading()
            await until(lambda: len(server.of("PATCH")) == 4)
            my.clock.now += 11
            server.will("PATCH", *[my.lease(version="3", transitions=2)] * 99)
            await until(lambda: my.heard == ["started 1", "stopped", "started 2"])
            assert my.elector.assert_leading() > first

    assert sent(server, "PATCH")[-2]["spec"].get("leaseTransitions") in {None, 2}
    assert any(patch["spec"].get("leaseTransitions") == 2 for patch in sent(server, "PATCH"))


async def test_a_renewal_answered_after_the_deadline_renews_nothing(
    server: RecordedServer,
) -> None:
    async with campaign(server) as my:
        server.will("get", my.lease("", version="1"), my.lease(version="3", transitions=1))
        server.will("PATCH", my.lease(version="2", transitions=1))
        late = my.lease(version="3", transitions=1)
        server.will("PATCH", Reply(chunks=(b" ", *late.chunks), chunk_pause_s=0.2))
        server.will("PATCH", *[my.lease(version="4", transitions=2)] * 99)
        async with running(my):
            await my.elector.leading()
            my.clock.now += 9  # so the next renewal is sent in time
            await until(lambda: len(server.of("PATCH")) == 2)
            my.clock.now += 2  # frozen, while the answer lies in the socket
            await my.elector.lost()
            await until(lambda: my.heard == ["started 1", "stopped", "started 2"])


async def test_the_deadline_counts_from_before_the_request_was_sent(
    server: RecordedServer,
) -> None:
    async with campaign(server) as my:
        server.will("get", my.lease("", version="1"))
        slow = my.lease(version="2", transitions=1)
        server.will("PATCH", Reply(chunks=(b" ", *slow.chunks), chunk_pause_s=0.1))
        server.will("PATCH", Reply(end=End.HELD))
        async with running(my):
            await until(lambda: bool(server.of("PATCH")))
            my.clock.now += 4
            await my.elector.leading()
            assert my.elector.deadline_left_s() == 6


async def test_a_held_lease_is_left_alone_until_it_has_been_silent_long_enough(
    server: RecordedServer,
) -> None:
    async with campaign(server) as my:
        server.will("get", *[my.lease("other", version="1", transitions=3)] * 500)
        async with running(my):
            await until(lambda: len(server.of("get")) >= 3)
            my.clock.now += 14
            seen = len(server.of("get"))
            await until(lambda: len(server.of("get")) >= seen + 3)
            assert not server.of("PATCH")
            assert not my.elector.is_leading

            server.will("PATCH", *[my.lease(version="2", transitions=4)] * 99)
            my.clock.now += 1
            term = await my.elector.leading()
            assert term.transitions == 4


async def test_a_conflict_with_another_holder_ends_leadership_at_once(
    server: RecordedServer,
) -> None:
    async with campaign(server) as my:
        server.will("get", my.lease("", version="1"))
        server.will("PATCH", my.lease(version="2", transitions=1), status_reply(409, "Conflict"))
        server.will("get", *[my.lease("other", version="9", transitions=2)] * 99)
        async with running(my):
            await my.elector.leading()
            await my.elector.lost()
            assert my.clock.now < 1010
            assert my.heard == ["started 1", "stopped"]


async def test_a_conflict_with_an_answer_of_ours_that_was_lost_is_none(
    server: RecordedServer,
) -> None:
    async with campaign(server) as my:
        server.will("get", my.lease("", version="1"), my.lease(version="3", transitions=1))
        server.will("PATCH", my.lease(version="2", transitions=1), Reply(end=End.CUT))
        server.will("PATCH", status_reply(409, "Conflict"))
        server.will("PATCH", *[my.lease(version="4", transitions=1)] * 99)
        async with running(my):
            await my.elector.leading()
            await until(lambda: len(server.of("PATCH")) >= 5)
            assert my.heard == ["started 1"]

    assert sent(server, "PATCH")[3]["metadata"]["resourceVersion"] == "3"


async def test_a_lease_deleted_under_its_holder_ends_leadership_at_once(
    server: RecordedServer,
) -> None:
    async with campaign(server) as my:
        server.will("get", my.lease("", version="1"))
        server.will("PATCH", my.lease(version="2", transitions=1), status_reply(404, "NotFound"))
        async with running(my):
            await my.elector.leading()
            await my.elector.lost()
            assert my.clock.now < 1010


async def test_two_who_create_at_once_are_not_both_leading(server: RecordedServer) -> None:
    async with campaign(server) as my:
        server.will("get", status_reply(404, "NotFound"))
        server.will("get", *[my.lease("other", version="1")] * 500)
        server.will("POST", status_reply(409, "AlreadyExists"))
        async with running(my):
            await until(lambda: len(server.of("get")) >= 4)
            assert not my.elector.is_leading
            assert my.heard == []


async def test_an_absent_server_ends_neither_the_loop_nor_the_hope(server: RecordedServer) -> None:
    async with campaign(server) as my:
        server.will("get", Reply(status=503), Reply(chunks=(b"nonsense",)))
        server.will("get", my.lease("", version="1"))
        server.will("PATCH", *[my.lease(version="2", transitions=1)] * 99)
        async with running(my):
            await my.elector.leading()
            assert my.elector.reachable


async def test_the_lease_is_given_back_only_after_the_work_has_ended(
    server: RecordedServer,
) -> None:
    async with campaign(server) as my:
        server.will("get", my.lease("", version="1"))
        server.will("PATCH", *[my.lease(version="2", transitions=1)] * 999)
        async with my.elector.campaign() as elector:
            await elector.leading()
            held = [patch["spec"]["holderIdentity"] for patch in sent(server, "PATCH")]
            assert all(held)

    assert sent(server, "PATCH")[-1]["spec"]["holderIdentity"] == ""


async def test_who_does_not_lead_gives_nothing_back(server: RecordedServer) -> None:
    async with campaign(server) as my:
        server.will("get", *[my.lease("other", version="1")] * 99)
        async with my.elector.campaign():
            await until(lambda: bool(server.of("get")))

    assert not server.of("PATCH")
