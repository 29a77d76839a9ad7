"""What the reflector survives: nonsense, silence, cut connections, refusals."""

import itertools

import pytest

from kubekit.reflector import Pace
from kubekit.testing import (
    End,
    RecordedServer,
    Reply,
    following,
    list_reply,
    pod,
    status_reply,
    until,
    watch_reply,
)


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


async def test_a_watch_that_ends_soon_but_got_further_goes_on_without_a_pause(
    server: RecordedServer,
) -> None:
    """The API server closes those of slow readers, above all while much happens."""
    server.will("list", list_reply("7"))
    versions = [str(version) for version in range(8, 14)]
    server.will("watch", *(watch_reply(("ADDED", pod(v, v)), end=End.WHOLE) for v in versions))
    pace = Pace(backoff_initial_s=3600.0, backoff_maximum_s=3600.0)
    async with following(server, pace=pace) as followed:
        await followed.wait_told("=", *(f"+{version}" for version in versions))

    assert len(server.of("list")) == 1


async def test_an_empty_list_answer_is_an_error_and_no_empty_list(server: RecordedServer) -> None:
    server.will("list", list_reply("7", pod("a", "3")), Reply(), list_reply("8", pod("a", "3")))
    server.will("watch", status_reply(410, "Expired"))
    async with following(server) as followed:
        await followed.wait_told("+a", "=", "=")

    assert not server.of("get")
