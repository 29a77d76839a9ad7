"""An uninstall whose API server says no now and then: what ends it, and what is left then."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from kubekit.client import connected
from kubekit.errors import ForbiddenError, ServerError
from kubekit.kubeconfig import Connection
from kubekit.testing import RecordedServer, Reply, json_reply, recorded_server, status_reply
from node_registrar.app import leaving
from node_registrar.app.leaving import Departure, LeavingSettings
from servicekit.errors import SettingsError
from servicekit.settings import read_settings

NODES = "/api/v1/nodes"
OURS = {
    "metadata": {
        "name": "wasm-m",
        "uid": "u",
        "annotations": {"wasmlet.dev/incarnation": "e/1"},
        "ownerReferences": [{"kind": "Node", "name": "m"}],
    }
}
POD = {"metadata": {"name": "web-0", "namespace": "ns", "uid": "old"}}
CONFLICT = status_reply(409, "Conflict", "the UID in the precondition does not match")
NOT_FOUND = status_reply(404, "NotFound")
DONE = json_reply({})


@pytest.fixture
async def server() -> AsyncIterator[RecordedServer]:
    async with recorded_server(NODES) as server:
        server.will("list", json_reply({"items": [OURS]}))
        server.will("PATCH", DONE, DONE)  # the mark, the cordon
        yield server


@pytest.fixture
async def departure(server: RecordedServer) -> AsyncIterator[Departure]:
    async with connected(Connection(server=server.url), user_agent="test") as api:
        settings = LeavingSettings(installation="ns/this", host_prefix="wasm-", drain_s=60)
        yield Departure(api, settings)


def marks(server: RecordedServer) -> list[str | None]:
    """What the mark was set to, one after the other."""
    asked = [each for each in server.of("PATCH") if each.path.endswith("/configmaps/this")]
    bodies = [msgspec.json.decode(each.body) for each in asked]
    return [body["metadata"]["annotations"]["wasmlet.dev/leaving"] for body in bodies]


async def test_a_pod_that_was_replaced_since_it_was_seen_is_looked_at_again(
    server: RecordedServer, departure: Departure
) -> None:
    server.will("get", json_reply({"items": [POD]}), json_reply({"items": []}), NOT_FOUND)
    server.will("POST", CONFLICT)
    server.will("DELETE", DONE)
    await departure.run()
    assert [each.path for each in server.of("DELETE")] == [f"{NODES}/wasm-m"]
    assert marks(server) == ["true"]


async def test_the_mark_is_taken_back_when_a_node_cannot_be_deleted(
    server: RecordedServer, departure: Departure
) -> None:
    server.will("get", json_reply({"items": []}))
    server.will("DELETE", status_reply(403, "Forbidden"))
    server.will("PATCH", Reply(status=503), DONE)
    with pytest.raises(ForbiddenError):
        await departure.run()
    assert marks(server) == ["true", None, None]


async def test_an_api_server_that_is_ill_is_asked_again_at_each_step(
    server: RecordedServer, departure: Departure
) -> None:
    ill = Reply(status=503)
    pods = json_reply({"items": [POD, POD]})
    server.will("get", ill, pods, ill, json_reply({"items": []}), NOT_FOUND)
    server.will("POST", status_reply(500, "InternalError"))
    server.will("DELETE", ill, DONE)
    await departure.run()
    assert len(server.of("POST")) == 1, "the second pod need not be tried then"
    assert [each.path for each in server.of("DELETE")] == [f"{NODES}/wasm-m"] * 2
    assert marks(server) == ["true"]


async def test_an_api_server_that_stays_ill_ends_it_in_time(
    server: RecordedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "_SPARE_S", 0.0)
    server.will("get", *[Reply(status=503)] * 20)
    async with connected(Connection(server=server.url), user_agent="test") as api:
        settings = LeavingSettings(installation="ns/this", host_prefix="wasm-", drain_s=2)
        server.will("PATCH", DONE)
        with pytest.raises(ServerError):
            await Departure(api, settings).run()
    assert server.of("DELETE") == []
    assert marks(server) == ["true", None]


@pytest.mark.parametrize("named", ["", "wasmlet-system", "/x", "x/", "a/b/c"])
def test_an_installation_has_a_namespace_and_a_name(named: str) -> None:
    environ = {"WASMLET_INSTALLATION": named, "WASMLET_HOST_PREFIX": "wasm-"}
    with pytest.raises(SettingsError, match=r"WASMLET_INSTALLATION.* is not a NAMESPACE/NAME"):
        read_settings(LeavingSettings, environ)
