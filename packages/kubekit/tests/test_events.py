"""Events against recorded answers: in the background, in order, bounded."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest

from kubekit import events
from kubekit.client import connected
from kubekit.events import QUEUE_SIZE, TRICKLE_S, EventRecorder, EventSender, ObjectRef
from kubekit.kubeconfig import Connection
from kubekit.testing import RecordedServer, Reply, json_reply, status_reply, until

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POD = ObjectRef(kind="Pod", name="p", uid="u", namespace="ns")
OK = json_reply({"kind": "Event"})


@contextlib.asynccontextmanager
async def sending(server: RecordedServer, qps: float = 1000) -> AsyncIterator[EventSender]:
    async with connected(Connection(server=server.url), user_agent="t") as api:
        sender = EventSender(api, qps=qps, burst=2)
        task = asyncio.create_task(sender.run())
        try:
            yield sender
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def emit(sender: EventSender, *messages: str) -> None:
    recorder = EventRecorder(sender, host="n1")
    for message in messages:
        recorder.emit(POD, "Normal", "Pulled", message, AT)


async def test_an_event_is_created_and_then_counted_up(server: RecordedServer) -> None:
    server.will("POST", OK)
    server.will("PATCH", OK)
    async with sending(server) as sender:
        emit(sender, "m", "m")
        await until(lambda: sender.tally.sent == 2)

    create, patch = server.asked
    assert create.path == "/api/v1/namespaces/ns/events"
    name = msgspec.json.decode(create.body)["metadata"]["name"]
    assert patch.path == f"{create.path}/{name}"
    assert patch.headers["Content-Type"] == "application/strategic-merge-patch+json"
    assert msgspec.json.decode(patch.body)["count"] == 2


async def test_a_sender_that_is_finished_sends_what_it_has_and_takes_no_more(
    server: RecordedServer,
) -> None:
    server.will("POST", OK, OK)
    async with connected(Connection(server=server.url), user_agent="t") as api:
        sender = EventSender(api, qps=1000, burst=2)
        emit(sender, "first", "second")
        sender.finish()
        emit(sender, "late")
        async with asyncio.timeout(10):
            await sender.run()
    assert sender.tally.sent == 2
    assert sender.tally.dropped_full == 1
    assert len(server.asked) == 2


async def test_an_event_that_has_expired_is_created_again_under_its_name(
    server: RecordedServer,
) -> None:
    server.will("POST", OK, OK)
    server.will("PATCH", status_reply(404, "NotFound"))
    async with sending(server) as sender:
        emit(sender, "m", "m")
        await until(lambda: sender.tally.sent == 2)

    first, again = (msgspec.json.decode(asked.body) for asked in server.of("POST"))
    assert again["metadata"] == first["metadata"]
    assert again["count"] == 2


async def test_an_event_whose_first_answer_was_lost_is_there(server: RecordedServer) -> None:
    server.will("POST", Reply(status=500), status_reply(409, "AlreadyExists"))
    async with sending(server) as sender:
        emit(sender, "m")
        await until(lambda: sender.tally.sent == 1)


async def test_a_refused_event_is_dropped_and_the_next_one_goes_out(
    server: RecordedServer,
) -> None:
    server.will("POST", status_reply(403, "Forbidden", "namespace is being terminated"), OK)
    async with sending(server) as sender:
        emit(sender, "one", "two")
        await until(lambda: sender.tally.sent == 1)
        assert sender.tally.failed == 1

    assert [msgspec.json.decode(a.body)["message"] for a in server.asked] == ["one", "two"]


async def test_what_could_not_be_created_is_created_the_next_time(server: RecordedServer) -> None:
    server.will("POST", status_reply(403, "Forbidden"), OK)
    async with sending(server) as sender:
        emit(sender, "m", "m")
        await until(lambda: sender.tally.sent == 1)

    assert not server.of("PATCH")


async def test_a_full_queue_drops_and_counts_but_never_blocks(server: RecordedServer) -> None:
    async with connected(Connection(server=server.url), user_agent="t") as api:
        sender = EventSender(api)  # nobody runs it
        emit(sender, *[str(number) for number in range(QUEUE_SIZE + 7)])
        assert sender.tally.dropped_full == 7


async def test_a_noisy_object_is_limited(server: RecordedServer) -> None:
    server.will("POST", OK)
    server.will("PATCH", *[OK] * 24)
    async with sending(server) as sender:
        emit(sender, *["m"] * 30)
        await until(lambda: sender.tally.dropped_spam == 5)
        assert sender.tally.sent == 25


async def test_the_budget_of_the_whole_process_is_kept(server: RecordedServer) -> None:
    server.will("POST", *[OK] * 6)
    async with sending(server, qps=20) as sender:
        emit(sender, *[str(number) for number in range(6)])
        await until(lambda: sender.tally.sent == 6)

    times = [asked.at for asked in server.asked]
    assert times[-1] - times[0] == pytest.approx(4 / 20, abs=0.15)
    assert times[-1] - times[1] >= 3 / 20


async def test_events_trickle_while_something_else_is_on_its_way_and_flow_afterwards(
    server: RecordedServer,
) -> None:
    server.will("POST", *[OK] * 8)
    async with sending(server) as sender:
        sender.stand_back()
        emit(sender, *[str(number) for number in range(8)])

        def stands_back_until_three_are_sent() -> bool:
            sender.stand_back()
            return sender.tally.sent >= 3

        await until(stands_back_until_three_are_sent)
        await until(lambda: sender.tally.sent == 8)

    times = [asked.at for asked in server.asked]
    assert times[1] - times[0] >= TRICKLE_S * 0.9
    assert times[2] - times[1] >= TRICKLE_S * 0.9
    assert times[7] - times[3] < 4 * TRICKLE_S / 2


async def test_what_goes_on_and_on_holds_no_event_back_for_good(
    server: RecordedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "RUSH_S", TRICKLE_S / 5)
    server.will("POST", *[OK] * 8)
    async with sending(server) as sender:
        sender.stand_back()
        emit(sender, *[str(number) for number in range(8)])

        def all_are_sent_though_it_stands_back() -> bool:
            sender.stand_back()
            return sender.tally.sent == 8

        await until(all_are_sent_though_it_stands_back)

    times = [asked.at for asked in server.asked]
    assert times[7] - times[0] < 4 * TRICKLE_S, "standing back, they take seven times that"
