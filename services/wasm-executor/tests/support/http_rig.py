"""A container that serves HTTP, started by a real keeper, and a client that sends what it likes."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from keeper_rig import Container, Supervisor

from wasm_executor.container.plan import HttpPlan, Preopen

DEADLINE_S = 20.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    trailers: dict[str, str]


@dataclass(frozen=True)
class Served:
    """A container and where it is reached."""

    container: Container
    supervisor: Supervisor
    address: tuple[str, int]

    def client(self) -> "Client":
        return Client(self.address)

    def get(self, path: str) -> Answer:
        """One request on a connection of its own."""
        with self.client() as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            return client.answer()


class Client:
    """A raw connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, DEADLINE_S)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def send(self, text: str | bytes) -> None:
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def line(self) -> str:
        return self._file.readline().decode()

    def answer(self, *, to_head: bool = False) -> Answer:
        """Read one answer whole."""
        status = int(self.line().split()[1])
        headers = self._fields()
        trailers: dict[str, str] = {}
        if to_head or status in (204, 304):
            body = b""
        elif "content-length" in headers:
            body = self._file.read(int(headers["content-length"]))
        elif "chunked" in headers.get("transfer-encoding", ""):
            body = b"".join(iter(self._chunk, b""))
            trailers = self._fields()
        else:
            body = self._file.read()
        return Answer(status, headers, body, trailers)

    def ended(self) -> bool:
        """Whether the other side has closed."""
        return self._file.read(1) == b""

    def _chunk(self) -> bytes:
        size = int(self.line(), 16)
        if not size:
            return b""
        data = self._file.read(size)
        assert self.line() == "\r\n"
        return data

    def _fields(self) -> dict[str, str]:
        found = {}
        while (line := self.line().rstrip("\r\n")) != "":
            name, _, value = line.partition(":")
            found[name.lower()] = value.strip()
        return found


@asynccontextmanager
async def serving(
    supervisor: Supervisor,
    guest: str = "http",
    http: HttpPlan | None = None,
    preopens: tuple[Preopen, ...] = (),
    *,
    runtime: str = "",
    env: dict[str, str] | None = None,
) -> AsyncIterator[Served]:
    """Serve a guest on a free port."""
    own = supervisor.plan(guest, env=env, preopens=preopens)
    plan = msgspec.structs.replace(
        own,
        runtime=runtime,
        artifact=msgspec.structs.replace(own.artifact, world="command" if runtime else "http"),
        http=http or HttpPlan(),
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        spec = supervisor.spec(f"{guest}-{address[1]}")
        spawned = await supervisor.client.spawn(spec, plan, listeners=(listener.fileno(),))
    container = Container(spec.key, spawned.pid, spawned.started_at, Path(spec.log_path or ""))
    yield Served(container, supervisor, address)
