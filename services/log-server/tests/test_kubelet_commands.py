"""exec in every protocol that clients have, over TLS, from an executor on a real bus."""

import base64
import json
import os
from pathlib import Path

import pytest
from log_server_upgrades import EXEC, SocketClient, SpdyClient, SynReply, connection
from log_server_world import eventually, world

SUCCESS = {"metadata": {}, "status": "Success"}
FAILED = "command terminated with non-zero exit code: error executing command [exit 3], exit code 3"
EXIT_3 = {
    "metadata": {},
    "status": "Failure",
    "message": FAILED,
    "reason": "NonZeroExitCode",
    "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
}


async def test_v5_echoes_and_closes_stdin(tmp_path: Path) -> None:
    content = os.urandom(300_000)
    async with world(tmp_path) as here, connection(here) as raw:
        client = await SocketClient(raw).open(f"{EXEC}&command=cat", "v5.channel.k8s.io")
        assert raw.status == 101
        assert "sec-websocket-protocol: v5.channel.k8s.io" in raw.head.lower()
        for start in range(0, len(content), 30_000):
            client.send(b"\x00" + content[start : start + 30_000])
        client.send(b"\x04" + b'{"Width":80,"Height":24}')
        client.send(b"\xff\x00")
        first, *said, status = await client.messages()
        assert first == b"\x01", "an empty message says that the connection stands"
        assert b"".join(each[1:] for each in said) == content
        assert {each[0] for each in said} == {1}
        assert (status[0], json.loads(status[1:])) == (3, SUCCESS)
        await eventually(lambda: not here.executor.streams.live)


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        ("", FAILED),
        ("channel.k8s.io", FAILED),
        ("v4.channel.k8s.io", EXIT_3),
        ("v5.channel.k8s.io", EXIT_3),
    ],
)
async def test_an_exit_code_is_told_in_the_protocols_form(
    tmp_path: Path, protocol: str, told: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as here, connection(here) as raw:
        client = await SocketClient(raw).open(f"{EXEC}&command=exit&command=3", protocol)
        _, said, status = await client.messages()
        assert said == b"\x01out"
        text = status[1:].decode()
        assert (text if isinstance(told, str) else json.loads(text)) == told
        await raw.rest()  # whoever leaves last is no failure: the log is silent
        assert not [each.message for each in caplog.records if each.name == "uvicorn.error"]


@pytest.mark.parametrize("protocol", ["base64.channel.k8s.io", "v4.base64.channel.k8s.io"])
async def test_base64_channels(tmp_path: Path, protocol: str) -> None:
    async with world(tmp_path) as here, connection(here) as raw:
        client = await SocketClient(raw).open(f"{EXEC}&command=cat", protocol)
        client.send(b"0" + base64.b64encode(b"\x00hello"), text=True)
        await eventually(lambda: any(each.sent for each in here.executor.streams.live.values()))
        next(iter(here.executor.streams.live.values())).data += b"!"
        client.send(b"0not base64", text=True)
        raw_frames = await raw.rest()
        assert base64.b64encode(b"\x00hello") in raw_frames
        await eventually(lambda: not here.executor.streams.live)


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("v4.channel.k8s.io", EXIT_3),
        ("v3.channel.k8s.io", FAILED),
        ("v2.channel.k8s.io", FAILED),
        ("channel.k8s.io", FAILED),
        ("", FAILED),
    ],
)
async def test_spdy_of_every_version(tmp_path: Path, version: str, told: object) -> None:
    async with world(tmp_path) as here, connection(here) as raw:
        client = await SpdyClient(raw).open(f"{EXEC}&command=exit&command=3", version)
        assert raw.status == 101
        for number, kind in enumerate(("error", "stdin", "stdout", "stderr")):
            client.stream(2 * number + 1, streamtype=kind)
        said = await client.ended(1, 5, 7)
        text = said[1].decode()
        assert (text if isinstance(told, str) else json.loads(text)) == told
        assert (said[5], said[7]) == (b"out", b"")
        assert [each.stream for each in client.seen if isinstance(each, SynReply)] == [1, 3, 5, 7]


async def test_spdy_echoes_up_to_the_end_of_stdin(tmp_path: Path) -> None:
    content = os.urandom(300_000)
    async with world(tmp_path) as here, connection(here) as raw:
        path = f"{EXEC}&command=cat".replace("&error=1", "")
        client = await SpdyClient(raw).open(path, "v4.channel.k8s.io")
        for number, kind in enumerate(("error", "stdin", "stdout")):
            client.stream(2 * number + 1, streamtype=kind)
        client.write(client.frames.ping(1))
        client.write(client.frames.data(3, content))
        client.write(client.frames.data(3, b"", fin=True))
        said = await client.ended(1, 5)
        assert json.loads(said[1]) == SUCCESS
        whole = said[5] == content
        assert whole


async def test_a_command_outlives_the_bus_with_nothing_lost_or_doubled(tmp_path: Path) -> None:
    async with world(tmp_path) as here, connection(here) as raw:
        client = await SocketClient(raw).open(f"{EXEC}&command=cat", "v5.channel.k8s.io")
        numbers = [b"%d " % number for number in range(3000)]
        for number in numbers[:1000]:
            client.send(b"\x00" + number)
        echo = next(iter(here.executor.streams.live.values()))
        await eventually(lambda: echo.sent > 100)
        here.peers.server.kill()
        for number in numbers[1000:2000]:
            client.send(b"\x00" + number)
        here.peers.server.start()
        for number in numbers[2000:]:
            client.send(b"\x00" + number)
        client.send(b"\xff\x00")
        _, *said, status = await client.messages()
        assert b"".join(each[1:] for each in said) == b"".join(numbers)
        assert json.loads(status[1:]) == SUCCESS


async def test_a_client_that_leaves_ends_its_command(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        for protocol in ("websocket", "spdy"):
            async with connection(here) as raw:
                if protocol == "spdy":
                    await SpdyClient(raw).open(f"{EXEC}&command=cat", "v4.channel.k8s.io")
                else:
                    await SocketClient(raw).open(f"{EXEC}&command=cat", "v5.channel.k8s.io")
                assert here.executor.streams.live
                raw.leave()
            await eventually(lambda: not here.executor.streams.live)


@pytest.mark.parametrize("upgrade", ["websocket", "SPDY/3.1"])
async def test_garbage_behind_the_switch_ends_the_connection_alone(
    tmp_path: Path, upgrade: str
) -> None:
    async with world(tmp_path) as here:
        async with connection(here) as kept:
            client = await SocketClient(kept).open(f"{EXEC}&command=cat", "v5.channel.k8s.io")
            for garbage in (b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n" * 20, os.urandom(5000)):
                async with connection(here) as raw:
                    key = base64.b64encode(bytes(16)).decode()
                    headers = {"Sec_WebSocket_Key": key, "Sec_WebSocket_Version": "13"}
                    path = f"{EXEC}&command=cat"
                    await raw.ask(path, Connection="Upgrade", Upgrade=upgrade, **headers)
                    assert raw.status == 101
                    raw.writer.write(garbage + b"\x80\x00\x00\x00")
                    raw.writer.write(b"\x80\x09\x00\x01\x00\x00\x00\x00")
                    raw.writer.transport.write_eof() if raw.writer.can_write_eof() else None
                    raw.writer.close()
                    await raw.rest()
            client.send(b"\x00still here")
            client.send(b"\xff\x00")
            said = b"".join(each[1:] for each in (await client.messages())[1:-1])
            assert said == b"still here"
        await eventually(lambda: not here.executor.streams.live)


@pytest.mark.parametrize(
    ("path", "headers", "status", "text"),
    [
        (
            "/exec/default/p/c?command=x",
            {},
            400,
            "you must specify at least 1 of stdin, stdout, stderr",
        ),
        ("/exec/default/gone/c?output=1", {}, 404, "pod does not exist"),
        (f"{EXEC}&command=x", {}, 400, "Upgrade request required"),
        (
            f"{EXEC}&command=x",
            {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v9"},
            403,
            "client supports [v9], server accepts [v4.channel.k8s.io",
        ),
        (
            f"{EXEC}&command=x",
            {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Protocol": "v9"},
            400,
            "no protocol of ['v9'] is spoken here",
        ),
        ("/portForward/default/gone", {}, 404, "pod does not exist"),
    ],
)
async def test_refusals_come_before_the_switch(
    tmp_path: Path, path: str, headers: dict[str, str], status: int, text: str
) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        answer = await client.post(path, headers=headers)
        assert answer.status_code == status
        assert text in answer.text
        assert not here.executor.streams.live


async def test_forwarded_connections_fail_and_echo_side_by_side(tmp_path: Path) -> None:
    async with world(tmp_path) as here, connection(here) as raw:
        client = await SpdyClient(raw).open("/portForward/default/p", "portforward.k8s.io")
        assert raw.status == 101
        for pair, port in enumerate(("80", "1", "nonsense", "81")):
            for kind, number in (("error", 4 * pair + 1), ("data", 4 * pair + 3)):
                client.stream(number, streamtype=kind, port=port, requestid=str(pair))
        client.write(client.frames.data(3, b"to 80", fin=True))
        client.write(client.frames.data(15, b"to 81", fin=True))
        said = await client.ended(1, 3, 5, 7, 9, 11, 13, 15)
        failed = "error forwarding port {} to pod p, uid : {}"
        assert said[3] == b"to 80"
        assert said[15] == b"to 81"
        foreign = "port 1 is not held by a process of this pod"
        assert said[5].decode() == failed.format("1", foreign)
        assert said[9].decode() == failed.format("nonsense", '"nonsense" is no port')
        assert (said[1], said[13]) == (b"", b"")
        await eventually(lambda: not here.executor.streams.live)
