"""Listeners: which ports, which certificates, what is announced, `/healthz` and `/pods`."""

import asyncio
import hashlib
import json
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from cryptography import x509
from log_server_peers import peers_on
from log_server_world import (
    FAST,
    NODE,
    OTHER,
    eventually,
    free_ports,
    running,
    shown_certificate,
    trusting,
    world,
)

from contract.ids import NodeName
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from log_server import app
from log_server.addresses import announced_address
from log_server.errors import AddressError, ListenError
from log_server.settings import LogServerSettings

API_SERVER = "kube-apiserver-kubelet-client"


async def test_every_node_has_a_port_and_is_announced_with_its_certificate(tmp_path: Path) -> None:
    async with world(tmp_path, nodes=(NODE, OTHER)) as here:
        await eventually(lambda: len(here.peers.control.announced) == 2)
        ports = set()
        for node in (NODE, OTHER):
            event = here.peers.control.announced[node]
            assert event.address == "10.1.2.3"
            der = await asyncio.to_thread(shown_certificate, event.port)
            assert hashlib.sha256(der).hexdigest() == event.certificate_sha256
            certificate = x509.load_der_x509_certificate(der)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            assert names.value.get_values_for_type(x509.DNSName) == [node]
            assert [str(ip) for ip in names.value.get_values_for_type(x509.IPAddress)] == [
                "10.1.2.3"
            ]
            ports.add(event.port)
        assert len(ports) == 2


async def test_announcements_are_repeated(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await eventually(lambda: NODE in here.peers.control.announced)
        first = here.peers.control.announced.pop(NODE)
        await eventually(lambda: NODE in here.peers.control.announced)
        assert here.peers.control.announced[NODE] == first


async def test_a_node_that_is_granted_later_gets_a_listener(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.peers.control.grant(OTHER)
        await eventually(lambda: OTHER in here.peers.control.announced)
        await here.peers.control.grant(NODE)
        async with here.client(node=OTHER) as client:
            assert (await client.get("/healthz")).status_code == 500
            await here.peers.arrive(OTHER)
            assert (await client.get("/healthz")).text == "ok"
        assert len(here.server.listeners) == 2


async def test_named_nodes_have_their_ports_in_order_and_others_none(tmp_path: Path) -> None:
    first = free_ports(2)
    async with world(
        tmp_path, nodes=(OTHER, NODE), node_names=(OTHER, NODE), kubelet_port=first
    ) as here:
        assert here.listener(OTHER).port == first
        assert here.listener(NODE).port == first + 1
        await here.peers.control.grant(NodeName("stranger"))
        await here.peers.control.grant(NODE)
        await eventually(lambda: len(here.peers.control.announced) == 2)
        assert set(here.server.listeners) == {OTHER, NODE}


async def test_a_port_in_use_is_an_error_that_names_it(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        EmbeddedNats(tmp_path / "nats", [NODE]) as nats,
    ):
        port = taken.getsockname()[1]
        settings = LogServerSettings(
            nats_url=nats.url,
            nats_password_file=nats.password_file(Role.LOG_SERVER),
            node_names=(NODE,),
            **{**FAST, "kubelet_port": port},
        )
        with pytest.raises(ExceptionGroup) as refusal:
            async with asyncio.timeout(5), running(settings):
                await asyncio.Event().wait()
        assert refusal.group_contains(ListenError, match=f"cannot listen on 127.0.0.1 port {port}")


async def test_a_port_that_is_taken_is_missed_by_its_own_node_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "RETRY_S", 0.05)
    first = free_ports(2)
    async with world(tmp_path, nodes=(OTHER,), kubelet_port=first) as here:
        with socket.create_server(("127.0.0.1", first + 1)):
            await here.peers.control.grant(NODE)
            await eventually(lambda: "cannot listen on" in (here.server.unready() or ""))
            async with here.client(node=OTHER) as client:
                assert (await client.get("/healthz")).text == "ok"
        await eventually(lambda: NODE in here.server.listeners and not here.server.unready())
        assert here.listener(NODE).port == first + 1


async def test_healthz_asks_an_executor_on_this_host_while_the_bus_is_away(tmp_path: Path) -> None:
    said = b"ok\n"

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    # Bound under a short name and asked for under one that is longer than a socket's may be.
    folder = tmp_path / ("a long name" * 12)
    with TemporaryDirectory() as short:
        folder.symlink_to(short)
        listening = await asyncio.start_unix_server(answer, f"{short}/{NODE}.sock")
        async with (
            listening,
            world(tmp_path, executor_socket=f"{folder}/{{node}}.sock") as here,
            here.client() as client,
        ):
            here.peers.server.kill()
            assert (await client.get("/healthz")).text == "ok"
            said = b"the node name is not granted\n"
            assert (await client.get("/healthz")).status_code == 500


async def test_pods_come_as_the_api_server_wrote_them(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        control = here.peers.control
        empty = await client.get("/pods")
        assert empty.headers["content-type"] == "application/json"
        assert empty.json() == {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []}
        control.pods = [
            json.dumps({"metadata": {"name": f"p{number}"}, "unknown": 1.0}).encode()
            for number in range(7)
        ]
        control.page = 3
        whole = await client.get("/pods")
        assert whole.json()["items"] == [json.loads(pod) for pod in control.pods]
        large = json.dumps({"metadata": {"name": "large"}, "fill": "x" * 35_000}).encode()
        for control.pods in ([large], [large, b"{}"], [b"{}", large], [b"{}", large, b"{}"]):
            control.page = 1
            parted = await client.get("/pods")
            assert parted.json()["items"] == [json.loads(pod) for pod in control.pods]


async def test_half_a_list_of_pods_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        control = here.peers.control
        control.pods = [b"{}"] * 4
        control.page = 3
        control.broken_from = 3
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/pods")
        control.broken_from = 0
        answer = await client.get("/pods")
        assert answer.status_code == 500
        assert answer.text == 'node "n1" does not answer at the moment: the list is being made'


async def test_a_connection_that_asks_nothing_is_closed(tmp_path: Path) -> None:
    async with world(tmp_path, idle_timeout_s=0.2) as here:
        silent = trusting()
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", here.listener().port, ssl=silent
        )
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


async def test_it_is_ready_when_it_listens_and_reaches_everybody(tmp_path: Path) -> None:
    with EmbeddedNats(tmp_path / "nats", [NODE, OTHER]) as nats:
        settings = LogServerSettings(
            nats_url=nats.url, nats_password_file=nats.password_file(Role.LOG_SERVER), **FAST
        )
        async with peers_on(nats, []) as peers, running(settings) as server:
            assert server.unready() == "no node is granted"
            await peers.control.grant(NODE)
            await eventually(lambda: server.unready() is None)
            nats.kill()
            await eventually(lambda: server.unready() == "NATS is away")
            nats.start()
            await eventually(lambda: server.unready() is None)


async def test_it_waits_for_a_registrar_that_starts_later(tmp_path: Path) -> None:
    with EmbeddedNats(tmp_path / "nats", [NODE, OTHER]) as nats:
        settings = LogServerSettings(
            nats_url=nats.url, nats_password_file=nats.password_file(Role.LOG_SERVER), **FAST
        )
        async with running(settings) as server, peers_on(nats, [OTHER, NODE]):
            await eventually(lambda: len(server.listeners) == 2)
            assert list(server.listeners) == [NODE, OTHER]


def test_the_announced_address_is_one_that_others_reach() -> None:
    assert announced_address("", static=True) == "127.0.0.1"
    assert announced_address("192.0.2.7", static=False) == "192.0.2.7"
    assert announced_address("2001:db8::7", static=False) == "2001:db8::7"
    assert announced_address("127.0.0.1", static=True) == "127.0.0.1"
    for wrong in ("127.0.0.1", "::1", "0.0.0.0", "169.254.1.1", "node-1"):  # noqa: S104 - refused
        with pytest.raises(AddressError, match="WASMLET_NODE_ADDRESS"):
            announced_address(wrong, static=False)
    found = announced_address("", static=False)
    assert not found.startswith("127.")
