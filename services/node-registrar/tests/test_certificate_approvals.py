"""One round over the requests for certificates: what a stranger wrote holds up nobody else's."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from registrar_requests import ADDRESS, NODE, request_of, stored
from structlog.testing import capture_logs

from kubekit.client import connected
from kubekit.kubeconfig import Connection
from kubekit.leadership import StaticTerm
from kubekit.signingrequests import PATH
from kubekit.testing import RecordedServer, Reply, json_reply, recorded_server, status_reply
from node_registrar.app.approving import Approver
from node_registrar.kube import Cluster, Nodes
from node_registrar.settings import RegistrarSettings
from node_registrar.signingrequests import Pending, SigningRequests, asked_of

PLAIN = request_of()
VERSION = PLAIN.index(b"\x02\x01\x00") + 2
NAME = PLAIN.index(NODE.encode())
TAG = NAME - len("system:node:") - 2
NODE_OBJECT = {
    "metadata": {"name": NODE, "uid": "u", "annotations": {"wasmlet.dev/incarnation": "e/1"}},
    "status": {"addresses": [{"type": "InternalIP", "address": ADDRESS}]},
}


def with_byte(at: int, value: int, der: bytes = PLAIN) -> bytes:
    return der[:at] + bytes([value]) + der[at + 1 :]


def read(der: bytes) -> Pending:
    return msgspec.convert(stored(der), Pending)


@pytest.mark.parametrize(
    "der",
    [
        with_byte(VERSION, 5),
        with_byte(NAME, 0xFF, with_byte(TAG, 0x14)),  # a T61String that is no text
        with_byte(TAG, 0x03),  # a bit string for a name
        b"",
        PLAIN[:100],
    ],
)
def test_what_a_stranger_wrote_is_read_as_nothing(der: bytes) -> None:
    assert asked_of(read(PLAIN)) is not None
    assert asked_of(read(der)) is None


@pytest.fixture
async def server() -> AsyncIterator[RecordedServer]:
    async with recorded_server(PATH) as server:
        yield server


@pytest.fixture
async def approver(server: RecordedServer) -> AsyncIterator[Approver]:
    async with connected(Connection(server=server.url), user_agent="test") as api:
        cluster = Cluster(api, StaticTerm(), 5.0)
        settings = RegistrarSettings(nats_url="nats://127.0.0.1:1")
        yield Approver(settings, Nodes(cluster), SigningRequests(cluster))


def waiting(*requests: dict[str, Any]) -> tuple[Reply, Reply]:
    """Both lists: of the serving signer's, and of the other's."""
    return json_reply({"items": requests}), json_reply({"items": []})


async def look(approver: Approver) -> list[str]:
    """One round, and of which requests it says that they are approved."""
    with capture_logs() as logs:
        await approver.look()
    return [each["request"] for each in logs if each["event"] == "certificate.approved"]


async def test_one_that_fails_holds_up_nobody_and_a_node_is_read_once(
    server: RecordedServer, approver: Approver
) -> None:
    strangers = stored(request_of("system:node:../../v1/secrets"), "path")
    others = stored(PLAIN, "others", username="somebody")
    broken = stored(with_byte(VERSION, 5), "broken")
    names = ("refused", "changed", "good")
    requests = [strangers, others, broken, *(stored(PLAIN, name) for name in names)]
    server.will("list", *waiting(*requests))
    server.will("get", json_reply(NODE_OBJECT))
    server.will("PATCH", status_reply(403, "Forbidden"), status_reply(409, "Conflict"))
    server.will("PATCH", json_reply({}))
    assert await look(approver) == ["good"]
    assert [each.path for each in server.of("get")] == [f"/api/v1/nodes/{NODE}"]
    assert [each.path for each in server.of("PATCH")] == [f"{PATH}/{n}/approval" for n in names]


async def test_a_node_that_cannot_be_read_is_asked_for_again(
    server: RecordedServer, approver: Approver
) -> None:
    server.will("list", *waiting(stored(PLAIN)), *waiting(stored(PLAIN)))
    server.will("get", Reply(status=503), json_reply(NODE_OBJECT))
    server.will("PATCH", json_reply({}))
    assert await look(approver) == []
    assert await look(approver) == ["csr-1"]
