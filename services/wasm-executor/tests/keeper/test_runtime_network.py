"""`wasi:sockets`: a guest listens where its plan gives it the network, and nowhere else."""

import asyncio
import os
import socket
from importlib.metadata import version

import msgspec
import pytest
from keeper_rig import DEADLINE_S, Container, KeeperProcess, Supervisor
from wasmtime import WasiConfig

from contract.messages.health import Grpc, HttpGet
from wasm_executor.checking.checks import check, not_own
from wasm_executor.checking.finding import Finding, failure
from wasm_executor.checking.sockets import SocketHolders
from wasm_executor.domain.checks import Verdict
from wasm_executor.runtimes.errors import GuestNotStartedError
from wasm_executor.runtimes.network import TRIED_VERSION, allow_network

GOOD = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
BROKEN = b"HTTP/1.0 500 Internal Server Error\r\nContent-Length: 7\r\n\r\nbroken\n"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


async def start(supervisor: Supervisor, *args: object, network: bool) -> Container:
    plan = supervisor.plan("listener", *map(str, args))
    plan = msgspec.structs.replace(plan, network=network)
    return await supervisor.spawn(supervisor.spec("listener"), plan)


async def says(container: Container, text: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while container.content() != text:
            await asyncio.sleep(0.005)


async def get(port: int, path: str) -> bytes:
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


async def test_guest_with_the_network_listens_and_answers(keeper: KeeperProcess) -> None:
    port = free_port()
    async with keeper.supervise() as supervisor:
        container = await start(supervisor, port, network=True)
        await says(container, "listening\n")
        paths = ("/", "/break", "/", "/mend", "/", "/quit")
        assert [await get(port, path) for path in paths] == [GOOD, BROKEN, BROKEN, GOOD, GOOD, GOOD]
        assert (await supervisor.next_exit()).code == 0


async def test_guest_breaks_after_as_many_answers_as_it_is_told(keeper: KeeperProcess) -> None:
    port = free_port()
    async with keeper.supervise() as supervisor:
        await says(await start(supervisor, port, 2, network=True), "listening\n")
        assert [await get(port, "/") for _ in range(4)] == [GOOD, GOOD, BROKEN, BROKEN]


async def test_guest_survives_clients_that_say_nothing(keeper: KeeperProcess) -> None:
    """As a tcpSocket probe does; some of them leave with a reset."""
    port = free_port()
    async with keeper.supervise() as supervisor:
        await says(await start(supervisor, port, network=True), "listening\n")
        for linger in (b"\0" * 8, b"\1" + b"\0" * 7) * 20:
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        assert await get(port, "/") == GOOD


async def test_probe_finds_the_guest_and_knows_that_it_holds_the_port(
    keeper: KeeperProcess,
) -> None:
    action = HttpGet(port=free_port())
    holders = SocketHolders()
    async with keeper.supervise() as supervisor:
        container = await start(supervisor, action.port, 1, network=True)
        await says(container, "listening\n")
        assert not_own(action, "127.0.0.1", [container.pid], holders) is None
        assert not_own(action, "127.0.0.1", [os.getpid()], holders) is not None
        findings = [await check(action, "127.0.0.1", DEADLINE_S) for _ in range(2)]
    holders.close()
    assert findings == [
        Finding(verdict=Verdict.SUCCESS, output="ok\n"),
        failure("HTTP probe failed with statuscode: 500"),
    ]


async def test_grpc_probe_hears_of_the_guests_health(keeper: KeeperProcess) -> None:
    action = Grpc(port=free_port())
    async with keeper.supervise() as supervisor:
        container = await start(supervisor, action.port, 1, network=True)
        await says(container, "listening\n")
        findings = [await check(action, "127.0.0.1", DEADLINE_S) for _ in range(2)]
    assert findings == [
        Finding(verdict=Verdict.SUCCESS, output="service healthy"),
        failure('service unhealthy (responded with "NOT_SERVING")'),
    ]


async def test_guest_without_the_network_is_refused_its_socket(keeper: KeeperProcess) -> None:
    port = free_port()
    async with keeper.supervise() as supervisor:
        container = await start(supervisor, port, network=False)
        assert (await supervisor.next_exit()).code == 1
        assert container.content() == "refused\n"
        with pytest.raises(ConnectionRefusedError):
            await get(port, "/")


def test_flags_were_found_in_the_version_that_is_pinned() -> None:
    """They lie in memory that no interface describes: look there again before raising the pin."""
    assert version("wasmtime") == TRIED_VERSION


def test_memory_that_looks_different_is_left_alone() -> None:
    wasi = WasiConfig()
    allow_network(wasi)
    with pytest.raises(GuestNotStartedError, match="no network"):
        allow_network(wasi)
