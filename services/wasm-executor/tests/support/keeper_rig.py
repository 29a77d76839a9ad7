"""Real keepers for tests: the test itself is the supervisor, on a descriptor lent to it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from process_tree import children
from wasmtime import Module
from wasmtime.component import Component

from wasm_executor.container.plan import Artifact, ArtifactKind, Preopen, ProcessPlan
from wasm_executor.keeper.client import KeeperClient
from wasm_executor.keeper.logfile import rotated_files
from wasm_executor.keeper.protocol import ContainerProcess, Exit, SpawnSpec
from wasm_executor.runtimes.engine import new_engine

LENDER = Path(__file__).with_name("fd_lender.py")
GUESTS = (Path(__file__).with_name("guests"), Path(__file__).with_name("supervised"))
DEADLINE_S = 30.0
EXECUTOR = ("-m", "wasm_executor")


class Compiler:
    """Guests from text, each compiled once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engine = new_engine()
        self._done: dict[str, Artifact] = {}

    def artifact(self, guest: str) -> Artifact:
        if guest not in self._done:
            texts = (folder / f"{guest}.wat" for folder in GUESTS)
            self.add(guest, next(each for each in texts if each.exists()).read_text())
        return self._done[guest]

    def add(self, guest: str, source: str | bytes, *, host_types: str = "") -> None:
        """Take what another compiler made, or what a test has put together."""
        mark: str | bytes = "(component" if isinstance(source, str) else b"asm\x0d\x00\x01\x00"
        if mark in source:  # type: ignore[operator] # both are text, or both bytes
            kind, code = ArtifactKind.COMPONENT, bytes(Component(self._engine, source).serialize())
        else:
            kind, code = ArtifactKind.MODULE, bytes(Module(self._engine, source).serialize())
        path = self._folder / f"{guest}.cwasm"
        path.write_bytes(code)
        self._done[guest] = Artifact(path=str(path), kind=kind, host_types=host_types)


@dataclass(frozen=True)
class Container:
    """One that was started by a test."""

    key: str
    pid: int
    started_at: datetime
    log: Path

    def content(self, stream: str | None = None) -> str:
        """What the guest wrote, joined over all rotated files."""
        parts: list[str] = []
        for path in (*rotated_files(self.log), self.log):
            for line in path.read_text(newline="\n").split("\n")[:-1]:
                _, source, tag, content = line.split(" ", 3)
                if stream in (None, source):
                    parts.append(content + ("\n" if tag == "F" else ""))
        return "".join(parts)


@dataclass
class Supervisor:
    """One supervisor's view of its keeper."""

    pid: int
    executor_id: str
    start_count: int
    epoch: int
    client: KeeperClient
    folder: Path
    compiler: Compiler

    def spec(self, name: str, *, hold_stdin: bool = False, log_max_files: int = 5) -> SpawnSpec:
        name = name.replace("_", "-")
        log = self.folder / "logs" / name / "0.log"
        return SpawnSpec(
            key=f"uid/{name}/0",
            log_path=str(log),
            log_max_files=log_max_files,
            hold_stdin=hold_stdin,
        )

    def plan(
        self,
        guest: str,
        *args: str,
        env: dict[str, str] | None = None,
        memory_limit_bytes: int | None = None,
        preopens: tuple[Preopen, ...] = (),
    ) -> ProcessPlan:
        return ProcessPlan(
            runtime="wasi",
            artifact=self.compiler.artifact(guest),
            args=(guest, *args),
            env=tuple((env or {}).items()),
            memory_limit_bytes=memory_limit_bytes,
            preopens=preopens,
        )

    async def start(self, guest: str, *args: str, name: str | None = None, **env: str) -> Container:
        """Spawn with defaults; for more use `client.spawn`."""
        return await self.spawn(self.spec(name or guest), self.plan(guest, *args, env=env))

    async def spawn(self, spec: SpawnSpec, plan: ProcessPlan) -> Container:
        async with asyncio.timeout(DEADLINE_S):
            spawned = await self.client.spawn(spec, plan)
        assert spec.log_path is not None
        return Container(spec.key, spawned.pid, spawned.started_at, Path(spec.log_path))

    async def next_exit(self) -> Exit:
        async with asyncio.timeout(DEADLINE_S):
            return await self.client.exits.get()

    async def run(self, guest: str, *args: str, **env: str) -> tuple[Exit, Container]:
        """Start and see it end."""
        container = await self.start(guest, *args, **env)
        return await self.next_exit(), container

    async def row(self, key: str) -> ContainerProcess | None:
        async with asyncio.timeout(DEADLINE_S):
            rows = await self.client.containers()
        return next((row for row in rows if row.key == key), None)


@dataclass
class KeeperProcess:
    """One run of `python -m wasm_executor`."""

    process: subprocess.Popen[bytes]
    listener: socket.socket
    folder: Path
    compiler: Compiler
    lent: list[socket.socket] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    @asynccontextmanager
    async def supervise(self) -> AsyncIterator[Supervisor]:
        """Be the supervisor that the keeper has just started."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DEADLINE_S):
            connection, _ = await loop.sock_accept(self.listener)
        self.lent.append(connection)
        connection.setblocking(True)
        said, fds, _, _ = socket.recv_fds(connection, 256, 1)
        pid, executor_id, start_count, epoch = said.decode().split()
        client = await KeeperClient.connect(fds[0])
        try:
            yield Supervisor(
                int(pid),
                executor_id,
                int(start_count),
                int(epoch),
                client,
                self.folder,
                self.compiler,
            )
        finally:
            client.close()

    def zygote_pid(self) -> int:
        found: list[int] = []

        def there() -> bool:
            found[:] = [pid for pid in children(self.pid) if is_zygote(pid)]
            return bool(found)

        wait_until(there)
        return found[0]

    async def terminate(self) -> int:
        self.process.terminate()
        return await self.ended()

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, DEADLINE_S)

    def end(self) -> None:
        for connection in self.lent:
            connection.close()
        self.process.kill()
        self.process.wait()
        self.listener.close()


def launch_keeper(
    folder: Path, compiler: Compiler, program: tuple[str, ...] = EXECUTOR, /, **settings: str
) -> KeeperProcess:
    address = folder / f"lend-{time.monotonic_ns()}.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(address))
    listener.listen()
    listener.setblocking(False)
    environ = os.environ | {
        "WASMLET_DATA_DIR": str(folder / "data"),
        "WASMLET_RUN_DIR": str(folder / "run"),
        "WASMLET_KEEPER_RESTART_MAX_S": "0.05",
        **settings,
    }
    command = (sys.executable, *program, sys.executable, str(LENDER), str(address))
    return KeeperProcess(subprocess.Popen(command, env=environ), listener, folder, compiler)


def numbered(count: int) -> str:
    """What the guest `counter` writes."""
    return "".join(f"{number:010}\n" for number in range(count))


def only_child(pid: int) -> int:
    """Wait for it."""
    wait_until(lambda: len(children(pid)) == 1)
    (child,) = children(pid)
    return child


def is_zygote(pid: int) -> bool:
    return name_of(pid) == "wasmlet-zygote"


def guests(keeper_pid: int) -> list[int]:
    """The keeper's containers; spares are none yet."""
    return [pid for pid in children(keeper_pid) if name_of(pid) == "wasmlet-guest"]


def spares(keeper_pid: int) -> list[int]:
    return [pid for pid in children(keeper_pid) if name_of(pid) == "wasmlet-spare"]


def name_of(pid: int) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def proc(pid: int, name: str) -> bytes:
    """A file of /proc/pid."""
    return Path(f"/proc/{pid}/{name}").read_bytes()


def status_field(pid: int, name: str) -> str:
    for line in proc(pid, "status").decode().splitlines():
        field, _, value = line.partition(":")
        if field == name:
            return value.strip()
    raise KeyError(name)


def descriptors(pid: int) -> list[str]:
    """What a process holds above stdio."""
    folder = Path(f"/proc/{pid}/fd")
    return [str(entry.readlink()) for entry in folder.iterdir() if int(entry.name) > 2]


def files_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_alive(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
    return False


def wait_until(true: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Poll for the thing itself."""
    until = time.monotonic() + deadline_s
    while not true():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.005)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
