"""The reflector against recorded answers: what it asks, what it delivers, what it survives."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from kubekit.changes import Added, Change, Deleted, Modified, Synced
from kubekit.client import Api, connected
from kubekit.kubeconfig import Connection
from kubekit.listing import Source
from kubekit.reflector import Pace, Reflector
from kubekit.testing import (
    End,
    RecordedServer,
    Reply,
    json_reply,
    list_reply,
    recorded_server,
    status_reply,
    until,
    watch_reply,
)

QUICK = Pace(backoff_initial_s=0.01, backoff_maximum_s=0.05)

type Pod = dict[str, Any]


def pod(name: str, version: str, *, uid: str = "", **fields: Any) -> Pod:
    meta = {"name": name, "namespace": "ns", "uid": uid or f"uid-{name}"}
    return {"metadata": {**meta, "resourceVersion": version}, **fields}


def bookmark(version: str) -> tuple[str, Any]:
    # As API server 1.36 sends it: neither name nor UID.
    empty = {"spec": {"containers": None}, "status": {}}
    meta = {"resourceVersion": version, "creationTimestamp": None}
    return "BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": meta, **empty}


class Followed:
    """A reflector that runs, and what it has delivered so far."""

    def __init__(self, api: Api, pace: Pace, decode: Callable[[msgspec.Raw], Any]) -> None:
        self.changes: list[Change[Any]] = []
        source = Source(path="/api/v1/pods", field_selector="spec.nodeName=n1")
        self.reflector: Reflector[Any] = Reflector(
            api, source, decode=decode, deliver=self._deliver, pace=pace
        )

    async def _deliver(self, change: Change[Any]) -> None:
        self.changes.append(change)

    def told(self) -> list[str]:
        """The changes in short: `+a` added, `~a` modified, `-a` deleted, `=` synced."""
        return [_short(change) for change in self.changes]

    async def wait_told(self, *told: str) -> None:
        try:
            await until(lambda: len(self.told()) >= len(told))
        except TimeoutError:
            pytest.fail(f"told only {self.told()}")
        assert self.told() == list(told)


def _short(change: Change[Any]) -> str:
    match change:
        case Synced():
            return "="
        case Added():
            sign = "+"
        case Modified():
            sign = "~"
        case Deleted():
            sign = "-"
    return sign + str(change.object["metadata"]["name"])


@pytest.fixture
async def server() -> AsyncIterator[RecordedServer]:
    async with recorded_server() as recorded:
        yield recorded


@contextlib.asynccontextmanager
async def following(
    server: RecordedServer,
    *,
    pace: Pace = QUICK,
    decode: Callable[[msgspec.Raw], Any] = msgspec.json.decode,
) -> AsyncIterator[Followed]:
    async with connected(Connection(server=server.url), user_agent="test") as api:
        followed = Followed(api, pace, decode)
        task = asyncio.create_task(followed.reflector.run())
        try:
            yield followed
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


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


@pytest.mark.parametrize(
    "nonsense",
    [
        Reply(chunks=(b'{"type":"ADDED","object":{"metadata":{"na',)),
        Reply(chunks=(b"<html>bad gateway</html>\n",)),
        watch_reply(("ADDED", pod("b", "8")), ("SURPRISE", {}), end=End.WHOLE),
        watch_reply(("DELETED", {"kind": "Pod"}), end=End.WHOLE),
    ],
    ids=["half a line", "a page", "an unknown type", "a deletion of nobody"],
)
async def test_after_nonsense_at_least_the_last_version_is_listed(
    server: RecordedServer, nonsense: Reply
) -> None:
    server.will("list", list_reply("7", pod("a", "3")), list_reply("9", pod("a", "3")))
    server.will("watch", nonsense)
    async with following(server):
        await until(lambda: len(server.of("list")) == 2)

    query = server.of("list")[1].query
    assert query["resourceVersionMatch"] == "NotOlderThan"
    assert query["resourceVersion"] in {"7", "8"}


async def test_a_connection_cut_within_a_line_tells_no_half_event_and_lists_nothing(
    server: RecordedServer,
) -> None:
    server.will("list", list_reply("7"))
    whole = watch_reply(("ADDED", pod("a", "8"))).chunks
    cut = Reply(chunks=(*whole, b'{"type":"DELETED","object'), end=End.CUT, chunk_pause_s=0.05)
    server.will("watch", cut, watch_reply(("MODIFIED", pod("a", "9"))))
    async with following(server) as followed:
        await followed.wait_told("=", "+a", "~a")

    assert [asked.query["resourceVersion"] for asked in server.of("watch")] == ["7", "8"]
    assert len(server.of("list")) == 1


async def test_too_many_requests_in_plain_text_is_no_event_and_is_waited_out(
    server: RecordedServer,
) -> None:
    server.will("list", list_reply("7"))
    text = b"Too many requests, please try again later.\n"
    server.will("watch", Reply(status=429, headers={"Retry-After": "1"}, chunks=(text,)))
    async with following(server) as followed:
        await until(lambda: len(server.of("watch")) == 2)
        assert followed.told() == ["="]

    first, second = server.of("watch")
    assert second.at - first.at >= 1.0
    assert second.query["resourceVersion"] == "7"


async def test_empty_answers_are_not_asked_for_without_pause(server: RecordedServer) -> None:
    server.will("list", list_reply("7"))
    server.will("watch", *[Reply()] * 4)
    async with following(server, pace=Pace(backoff_initial_s=0.1)):
        await until(lambda: len(server.of("watch")) == 4)

    times = [asked.at for asked in server.of("watch")]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4), strict=True))


async def test_an_empty_list_answer_is_an_error_and_no_empty_list(server: RecordedServer) -> None:
    server.will("list", list_reply("7", pod("a", "3")), Reply(), list_reply("8", pod("a", "3")))
    server.will("watch", status_reply(410, "Expired"))
    async with following(server) as followed:
        await followed.wait_told("+a", "=", "=")

    assert not server.of("get")


async def test_a_list_without_the_object_deletes_nothing_that_get_still_shows(
    server: RecordedServer,
) -> None:
    server.will("list", list_reply("7", pod("a", "3")), list_reply("8"))
    server.will("watch", status_reply(410, "Expired"), watch_reply(("ADDED", pod("b", "9"))))
    server.will("get", json_reply(pod("a", "3")), json_reply(pod("a", "3")))
    async with following(server) as followed:
        await followed.wait_told("+a", "=", "=", "+b")
        assert set(followed.reflector.store) == {"uid-a", "uid-b"}


async def test_what_a_list_did_not_show_is_asked_for_again_with_the_next_watch(
    server: RecordedServer,
) -> None:
    server.will("list", list_reply("7", pod("a", "3")), list_reply("8"))
    server.will("watch", status_reply(410, "Expired"), Reply(end=End.CUT))
    server.will("get", json_reply(pod("a", "3")), json_reply(pod("a", "3")))
    server.will("get", status_reply(404, "NotFound"))
    async with following(server) as followed:
        await followed.wait_told("+a", "=", "=", "-a")
        assert not followed.reflector.store


@pytest.mark.parametrize(
    "answer",
    [
        Reply(status=404, chunks=(b"404 page not found\n",)),
        status_reply(403, "Forbidden", "no"),
        json_reply({"kind": "Nonsense"}),
    ],
    ids=["a page", "forbidden", "no object"],
)
async def test_only_the_api_servers_own_not_found_confirms_a_deletion(
    server: RecordedServer, answer: Reply
) -> None:
    server.will("list", list_reply("7", pod("a", "3")), list_reply("8"))
    server.will("watch", status_reply(410, "Expired"), watch_reply(("ADDED", pod("b", "9"))))
    server.will("get", answer, answer)
    async with following(server) as followed:
        await followed.wait_told("+a", "=", "=", "+b")
        assert "uid-a" in followed.reflector.store


async def test_an_unreachable_server_confirms_nothing_until_it_is_back(
    server: RecordedServer,
) -> None:
    server.will("list", list_reply("7", pod("a", "3")), list_reply("8"), list_reply("9"))
    server.will("watch", status_reply(410, "Expired"))
    server.will("get", status_reply(500, "InternalError"), status_reply(404, "NotFound"))
    async with following(server) as followed:
        await followed.wait_told("+a", "=", "-a", "=")

    # The list had been at the latest version, so the next one is not older than that.
    assert server.of("list")[2].query["resourceVersion"] == "8"


async def test_another_uid_under_the_name_ends_the_older_object_first(
    server: RecordedServer,
) -> None:
    server.will("list", list_reply("7", pod("a", "3", uid="old")))
    server.will("list", list_reply("8", pod("a", "6", uid="new")))
    server.will("watch", status_reply(410, "Expired"))
    server.will("get", json_reply(pod("a", "6", uid="new")))
    async with following(server) as followed:
        await followed.wait_told("+a", "=", "-a", "+a", "=")
        deleted = followed.changes[2]
        assert isinstance(deleted, Deleted)
        assert deleted.uid == "old"


async def test_a_bad_object_is_left_out_and_the_others_go_on(server: RecordedServer) -> None:
    def picky(raw: msgspec.Raw) -> Any:
        decoded = msgspec.json.decode(raw)
        if decoded.get("bad"):
            raise RuntimeError("unreadable")
        return decoded

    nameless = {"metadata": {"resourceVersion": "4"}}
    server.will("list", list_reply("7", pod("a", "3"), nameless, pod("x", "3", bad=1), "text"))
    server.will(
        "watch",
        watch_reply(
            ("MODIFIED", pod("a", "8", bad=1)),
            ("MODIFIED", pod("x", "9")),
            ("ADDED", nameless),
            ("DELETED", pod("a", "10", bad=1)),
        ),
    )
    async with following(server, decode=picky) as followed:
        await followed.wait_told("+a", "=", "+x", "-a")
        assert followed.reflector.bad_objects == 5


async def test_a_bad_object_in_a_list_is_not_missing(server: RecordedServer) -> None:
    def picky(raw: msgspec.Raw) -> Any:
        decoded = msgspec.json.decode(raw)
        assert "bad" not in decoded
        return decoded

    server.will("list", list_reply("7", pod("a", "3")), list_reply("8", pod("a", "4", bad=1)))
    server.will("watch", status_reply(410, "Expired"))
    async with following(server, decode=picky) as followed:
        await followed.wait_told("+a", "=", "=")
        assert "uid-a" in followed.reflector.store

    assert not server.of("get")


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
    async with following(server, pace=Pace(backoff_initial_s=0.2)) as followed:
        assert not followed.reflector.reachable
        await until(lambda: bool(server.of("list")))
        assert not followed.reflector.reachable
        await followed.reflector.synced()
        await until(lambda: followed.reflector.reachable)
        assert followed.reflector.last_contact is not None


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
