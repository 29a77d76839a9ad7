"""port-forward in channels of a WebSocket, streams that fall silent, and the plain health port."""

import asyncio
import base64
import socket
from pathlib import Path

import httpx
import pytest
from log_server_upgrades import EXEC, SocketClient, connection
from log_server_world import NODE, OTHER, World, eventually, world

from contract.messages.stream import StreamEnd

FORWARD = "/portForward/default/p"
FOREIGN = b"error forwarding port 1 to pod p, uid : port 1 is not held by a process of this pod"
EIGHTY, ONE = b"\x50\x00", b"\x01\x00"


async def ended_after(here: World, said: bytes) -> None:
    """Let the pod's process close its connection when it has heard this."""
    await eventually(lambda: any(each.data == said for each in here.executor.streams.live.values()))
    for each in here.executor.streams.live.values():
        each.ended = StreamEnd()
        each.changed.set()


async def test_each_port_has_two_channels_that_begin_with_it(tmp_path: Path) -> None:
    async with world(tmp_path) as here, connection(here) as raw:
        client = await SocketClient(raw).open(f"{FORWARD}?port=80&port=1", "v4.channel.k8s.io")
        assert raw.status == 101
        assert "sec-websocket-protocol: v4.channel.k8s.io" in raw.head.lower()
        client.send(b"\x00to 80")
        client.send(b"\x02to nobody")
        await ended_after(here, b"to 80")
        messages = await client.messages()
        assert messages[:4] == [b"\x00" + EIGHTY, b"\x01" + EIGHTY, b"\x02" + ONE, b"\x03" + ONE]
        assert sorted(messages[4:]) == [b"\x00to 80", b"\x03" + FOREIGN]
        await eventually(lambda: not here.executor.streams.live)


async def test_ports_in_base64(tmp_path: Path) -> None:
    async with world(tmp_path) as here, connection(here) as raw:
        client = await SocketClient(raw).open(f"{FORWARD}?port=80", "v4.base64.channel.k8s.io")
        client.send(b"0" + base64.b64encode(b"\xff"), text=True)
        await ended_after(here, b"\xff")
        first, _, said = await client.messages()
        assert first == b"0" + base64.b64encode(EIGHTY)
        assert said == b"0" + base64.b64encode(b"\xff")


@pytest.mark.parametrize(
    ("query", "protocol", "text"),
    [
        ("", "v4.channel.k8s.io", 'query parameter "port" is required'),
        ("?port=", "v4.channel.k8s.io", 'query parameter "port" cannot be empty'),
        ("?port=http", "v4.channel.k8s.io", 'unable to parse "http" as a port'),
        ("?port=80,0", "", 'port "0" must be > 0'),
        ("?port=80", "v5.channel.k8s.io", "is spoken here"),
    ],
)
async def test_what_names_no_port_is_refused(
    tmp_path: Path, query: str, protocol: str, text: str
) -> None:
    async with world(tmp_path) as here, connection(here) as raw:
        await SocketClient(raw).open(f"{FORWARD}{query}", protocol)
        assert raw.status == 400
        assert text.encode() in await raw.reader.read(4096)


async def test_a_stream_that_says_nothing_for_long_ends(tmp_path: Path) -> None:
    async with world(tmp_path, streaming_idle_timeout_s=0.5) as here, connection(here) as raw:
        loop = asyncio.get_running_loop()
        client = await SocketClient(raw).open(f"{EXEC}&command=cat", "v5.channel.k8s.io")
        client.send(b"\x00last words")
        await eventually(lambda: any(each.sent for each in here.executor.streams.live.values()))
        began = loop.time()
        await raw.rest()
        assert loop.time() - began > 0.3
        await eventually(lambda: not here.executor.streams.live)


async def test_the_plain_port_is_well_while_every_node_is(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probing:
        port: int = probing.getsockname()[1]
    async with (
        world(tmp_path, nodes=(NODE, OTHER), healthz_port=port) as here,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        well = await client.get("/healthz")
        assert (well.status_code, well.text) == (200, "ok")
        assert (await client.get("/healthz/syncloop")).status_code == 200
        for path in ("/healthz/etcd", "/pods", "/metrics"):
            assert (await client.get(path)).status_code == 404
        await here.peers.leave(OTHER)
        assert (await client.get("/healthz/ping")).status_code == 200
        ill = await client.get("/healthz")
        assert ill.status_code == 500
        assert "[-]syncloop failed" in ill.text
