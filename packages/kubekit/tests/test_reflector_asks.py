"""What the reflector asks of a healthy server, and what it tells of the answers."""

from typing import Any

import msgspec
import pytest

from kubekit.changes import Added, Change, Modified
from kubekit.client import connected
from kubekit.kubeconfig import Connection
from kubekit.listing import Source
from kubekit.reflector import Pace, Reflector
from kubekit.testing import (
    End,
    RecordedServer,
    Reply,
    bookmark,
    following,
    list_reply,
    pod,
    status_reply,
    until,
    watch_reply,
)


async def test_the_very_first_list_is_at_zero_and_the_watch_goes_on_from_it(
    server: RecordedServer,
) -> None:
    server.will("list", list_reply("7", pod("a", "3")))
    async with following(server) as followed:
        await followed.wait_told("+a", "=")
        await until(lambda: bool(server.of("watch")))

    asked = server.of("list")[0].query
    assert asked == {"limit": "500", "resourceVersion": "0", "fieldSelector": "spec.nodeName=n1"}
    watch = dict(server.of("watch")[0].query)
    assert 300 <= int(watch.pop("timeoutSeconds")) <= 600
    assert watch == {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "resourceVersion": "7",
        "fieldSelector": "spec.nodeName=n1",
    }


async def test_events_arrive_in_order_with_what_was_before(server: RecordedServer) -> None:
    server.will("list", list_reply("7", pod("a", "3", n=1)))
    server.will(
        "watch",
        watch_reply(
            ("ADDED", pod("b", "8")),
            ("MODIFIED", pod("a", "9", n=2)),
            ("DELETED", pod("b", "10")),
            ("ADDED", pod("b", "11", uid="other")),
        ),
    )
    async with following(server) as followed:
        await followed.wait_told("+a", "=", "+b", "~a", "-b", "+b")
        modified = followed.changes[3]
        assert isinstance(modified, Modified)
        assert (modified.previous["n"], modified.object["n"]) == (1, 2)
        assert set(followed.reflector.store) == {"uid-a", "other"}


async def test_a_version_that_is_known_is_not_told_again(server: RecordedServer) -> None:
    server.will("list", list_reply("7", pod("a", "3")))
    server.will("watch", watch_reply(("ADDED", pod("a", "3")), ("MODIFIED", pod("a", "8"))))
    async with following(server) as followed:
        await followed.wait_told("+a", "=", "~a")


async def test_a_watch_that_ends_goes_on_from_the_last_bookmark(server: RecordedServer) -> None:
    server.will("list", list_reply("7"))
    server.will("watch", watch_reply(bookmark("42"), end=End.WHOLE))
    async with following(server):
        await until(lambda: len(server.of("watch")) == 2)

    assert server.of("watch")[1].query["resourceVersion"] == "42"
    assert len(server.of("list")) == 1


@pytest.mark.parametrize(
    "gone",
    [
        status_reply(410, "Expired", "too old resource version: 7 (99)"),
        watch_reply(("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})),
    ],
    ids=["as an answer", "as an event"],
)
async def test_after_410_the_latest_is_listed_and_the_difference_told(
    server: RecordedServer, gone: Reply
) -> None:
    server.will(
        "list",
        list_reply("7", pod("stays", "1"), pod("changes", "2"), pod("goes", "3")),
        list_reply("100", pod("stays", "1"), pod("changes", "90"), pod("comes", "91")),
    )
    server.will("watch", gone)
    server.will("get", status_reply(404, "NotFound", 'pods "goes" not found'))
    async with following(server) as followed:
        await followed.wait_told(
            "+stays", "+changes", "+goes", "=", "~changes", "+comes", "-goes", "="
        )
        await until(lambda: len(server.of("watch")) == 2)

    assert server.of("list")[1].query == {"limit": "500", "fieldSelector": "spec.nodeName=n1"}
    assert server.of("get")[0].path == "/api/v1/namespaces/ns/pods/goes"
    assert server.of("watch")[1].query["resourceVersion"] == "100"


async def test_a_list_of_many_pages_is_read_to_its_end(server: RecordedServer) -> None:
    server.will("list", list_reply("7", pod("a", "1"), continue_="more"))
    server.will("list", list_reply("7", pod("b", "2")))
    async with following(server) as followed:
        await followed.wait_told("+a", "+b", "=")

    page = {"limit": "500", "continue": "more", "fieldSelector": "spec.nodeName=n1"}
    assert server.of("list")[1].query == page


async def test_a_continue_token_that_expired_starts_over_at_the_latest(
    server: RecordedServer,
) -> None:
    server.will("list", list_reply("7", pod("a", "1"), continue_="more"))
    server.will("list", status_reply(410, "Expired"))
    server.will("list", list_reply("9", pod("a", "1"), pod("b", "2")))
    async with following(server) as followed:
        await followed.wait_told("+a", "+b", "=")

    assert "resourceVersion" not in server.of("list")[2].query


async def test_a_server_behind_the_asked_version_is_asked_for_its_latest(
    server: RecordedServer,
) -> None:
    server.will("list", list_reply("7"))
    server.will("watch", Reply(chunks=(b"nonsense\n",)))
    behind = status_reply(
        504,
        "Timeout",
        "Too large resource version: 7",
        causes=[{"reason": "ResourceVersionTooLarge"}],
    )
    server.will("list", behind, list_reply("5"))
    async with following(server) as followed:
        await followed.wait_told("=", "=")

    assert "resourceVersion" not in server.of("list")[2].query


async def test_an_event_of_many_megabytes_is_one_event(server: RecordedServer) -> None:
    server.will("list", list_reply("7"))
    server.will("watch", watch_reply(("ADDED", pod("a", "8", data="x" * 5_000_000))))
    async with following(server) as followed:
        await followed.wait_told("=", "+a")
        assert len(followed.reflector.store[followed.changes[1].uid]["data"]) == 5_000_000  # type: ignore[union-attr]  # told as added


async def test_reachable_follows_the_server(server: RecordedServer) -> None:
    server.will("list", status_reply(503, "ServiceUnavailable"), list_reply("7"))
    server.will("watch", Reply(chunks=(b" ",), end=End.CUT, chunk_pause_s=0.2))
    async with following(server, pace=Pace(backoff_initial_s=0.2)) as followed:
        assert not followed.reflector.reachable
        await until(lambda: bool(server.of("list")))
        assert not followed.reflector.reachable
        await followed.reflector.synced()
        await until(lambda: followed.reflector.reachable)
        assert followed.reflector.last_contact is not None
        await until(lambda: not followed.reflector.reachable)


async def test_what_the_consumer_raises_ends_the_reflector(server: RecordedServer) -> None:
    server.will("list", list_reply("7", pod("a", "3")))

    async def deliver(_: Change[Any]) -> None:
        # An OSError of the consumer's own must not pass for a lost connection.
        raise OSError("disk full")

    async with connected(Connection(server=server.url), user_agent="test") as api:
        reflector = Reflector(
            api, Source(path="/api/v1/pods"), decode=msgspec.json.decode, deliver=deliver
        )
        with pytest.raises(OSError, match="disk full"):
            await reflector.run()


async def test_an_error_of_the_consumer_within_a_watch_is_not_taken_for_the_servers(
    server: RecordedServer,
) -> None:
    server.will("list", list_reply("7"))
    server.will("watch", watch_reply(("ADDED", pod("a", "8"))))

    async def deliver(change: Change[Any]) -> None:
        if isinstance(change, Added):
            raise TimeoutError("slow disk")

    async with connected(Connection(server=server.url), user_agent="test") as api:
        reflector = Reflector(
            api, Source(path="/api/v1/pods"), decode=msgspec.json.decode, deliver=deliver
        )
        with pytest.raises(TimeoutError, match="slow disk"):
            await reflector.run()
