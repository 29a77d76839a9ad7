"""Until when an enrolment lets its machine in, and what shows that it came in time."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.ids import NodeName
from contract.permissions import user_name
from contract.subjects import Role
from kubekit.client import Api, connected
from kubekit.kubeconfig import Connection
from kubekit.testing import RecordedServer, Reply, json_reply, recorded_server, status_reply
from node_registrar.credentials import Credentials
from node_registrar.domain.admission import Claimed, RefusedError, Rules, digest_of

NODE = NodeName("edge")
USER = user_name(Role.WASM_EXECUTOR, NODE)
WHO = Claimed(user=USER, role=Role.WASM_EXECUTOR, node=NODE)
RULES = Rules(service_account="", host_prefix="", node_names=())
SHOWN = "long and random"
END = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
OURS = json_reply({"metadata": {"annotations": {"wasmlet.dev/incarnation": "e/1"}}})
ANOTHERS = json_reply({"metadata": {"annotations": {}}})
NO_NODE = status_reply(404, "NotFound")
AWAY = status_reply(503, "ServiceUnavailable")


class Clock:
    """A time that stands still until it is told."""

    def __init__(self) -> None:
        self.time = END - dt.timedelta(minutes=1)

    def __call__(self) -> dt.datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / USER).write_text(f"{digest_of(SHOWN)} {END:%Y-%m-%dT%H:%M:%SZ}\n")
    return tmp_path


@pytest.fixture
async def server() -> AsyncIterator[RecordedServer]:
    async with recorded_server() as server:
        yield server


@pytest.fixture
async def api(server: RecordedServer) -> AsyncIterator[Api]:
    async with connected(Connection(server=server.url), user_agent="test") as api:
        yield api


async def test_within_its_time_an_enrolment_is_enough(folder: Path, clock: Clock) -> None:
    credentials = Credentials(RULES, folder, None, clock)
    assert await credentials.prove(WHO, SHOWN) == "enrolment"
    with pytest.raises(RefusedError):
        await credentials.prove(WHO, "guess")


async def test_who_came_in_time_is_let_in_again_though_the_api_server_is_away(
    folder: Path, clock: Clock, api: Api, server: RecordedServer
) -> None:
    credentials = Credentials(RULES, folder, api, clock)
    await credentials.prove(WHO, SHOWN)
    clock.time = END + dt.timedelta(days=1)
    assert await credentials.prove(WHO, SHOWN) == "enrolment"
    assert server.asked == []


async def test_after_its_time_the_node_tells_another_registrar_that_the_machine_joined(
    folder: Path, clock: Clock, api: Api, server: RecordedServer
) -> None:
    clock.time = END + dt.timedelta(seconds=1)
    credentials = Credentials(RULES, folder, api, clock)
    server.will("get", OURS)
    assert await credentials.prove(WHO, SHOWN) == "enrolment"
    assert [asked.path for asked in server.asked] == [f"/api/v1/nodes/{NODE}"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (NO_NODE, "had not joined"),
        (ANOTHERS, "had not joined"),
        (AWAY, "its Node is unknown"),
        (Reply(chunks=(b"no JSON",)), "its Node is unknown"),
    ],
)
async def test_a_word_that_was_not_used_in_time_is_worth_nothing(
    folder: Path, clock: Clock, api: Api, server: RecordedServer, reply: Reply, reason: str
) -> None:
    clock.time = END + dt.timedelta(seconds=1)
    server.will("get", reply, reply, reply)
    with pytest.raises(RefusedError, match=reason):
        await Credentials(RULES, folder, api, clock).prove(WHO, SHOWN)
    with pytest.raises(RefusedError, match="has ended"):
        await Credentials(RULES, folder, None, clock).prove(WHO, SHOWN)


@pytest.mark.parametrize("end", ["soon", "2026-06-01T12:00:00", "2026-06-01T12:00:00Z and more"])
async def test_an_end_that_cannot_be_read_lets_nobody_in(
    folder: Path, clock: Clock, end: str
) -> None:
    (folder / USER).write_text(f"{digest_of(SHOWN)} {end}")
    with pytest.raises(RefusedError, match="not enrolled"):
        await Credentials(RULES, folder, None, clock).prove(WHO, SHOWN)
    (folder / USER).write_text(digest_of(SHOWN))
    clock.time = END + dt.timedelta(days=900)
    assert await Credentials(RULES, folder, None, clock).prove(WHO, SHOWN) == "enrolment"
