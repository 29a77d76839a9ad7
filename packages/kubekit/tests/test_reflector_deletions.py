"""What counts as a deletion, and what does not; and objects that cannot be read."""

from typing import Any

import msgspec
import pytest

from kubekit.changes import Deleted
from kubekit.testing import (
    End,
    RecordedServer,
    Reply,
    following,
    json_reply,
    list_reply,
    pod,
    status_reply,
    watch_reply,
)


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
