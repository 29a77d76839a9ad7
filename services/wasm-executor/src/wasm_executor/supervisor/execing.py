"""Runs a command in a container's world: exec probes, exec hooks, `kubectl exec`.

There is no program beside the module, so the command is a new instance of it: the same
environment, folders and limits, arguments of its own, and stdin, stdout and stderr of the caller.
Its process is the keeper's child as every container's is, under `{pod uid}/{container}.exec/{n}`.
It ends at the latest with its container's run, or when nobody waits for it any more.
"""

import asyncio
import itertools
import os
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

import msgspec
import structlog

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, PodPlan
from wasm_executor.container.plan import ProcessPlan
from wasm_executor.images.records import PreparedImage
from wasm_executor.keeper.client import KeeperClient, Spawned
from wasm_executor.keeper.errors import ContainerInUseError, KeeperError, SpawnFailedError
from wasm_executor.keeper.protocol import EXEC_SUFFIX, ContainerProcess, SpawnSpec, is_exec
from wasm_executor.supervisor.capturing import Capture
from wasm_executor.supervisor.identity import Identity
from wasm_executor.supervisor.memory import MemoryWatch, Watched
from wasm_executor.supervisor.programs import ProgramNotFoundError, require_program
from wasm_executor.supervisor.work import process_plan
from wasm_executor.supervisor.worlds import Worlds

log = structlog.get_logger()

NOT_FOUND_CODE: Final = 127
NOT_STARTED_CODE: Final = 126
"""What a shell says of a program that is there and does not run."""
KILLED_CODE: Final = 128 + signal.SIGKILL
MAX_OUTPUT_BYTES: Final = 10 * 1024
"""What the kubelet keeps of a probe's output."""
KILL_S: Final = 2.0
"""How long a killed process may take to be gone before its caller goes on."""
RETRY_DELAYS_S: Final = (0.05, 0.1, 0.2, 0.4)
"""A zygote that was killed is back within a moment."""
LOOK_INTERVAL_S: Final = 0.05
_NUMBERS_OF_A_LIFE: Final = 10**9


class ExecutingNode(Protocol):
    """What of the node an exec needs."""

    identity: Identity
    tasks: asyncio.TaskGroup
    keeper: KeeperClient
    memory: MemoryWatch


class ExecTarget(NamedTuple):
    """A container's run, and the image that it runs."""

    plan: PodPlan
    container: ContainerPlan
    run: int
    image: PreparedImage


class Stdio(NamedTuple):
    """The caller's own descriptors, blocking ones; he closes his when he likes."""

    stdin: int | None
    """None: it reads end-of-file at once."""
    stdout: int
    stderr: int


class ExecOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended."""

    exit_code: int
    """137 for one that was killed, 127 and 126 where nothing has run."""
    timed_out: bool = False
    failure: str | None = None
    """Why nothing has run."""


class ExecResult(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended, and the first of what it wrote: stdout and stderr as they came."""

    outcome: ExecOutcome
    output: bytes


class Execs:
    """All of this executor."""

    def __init__(self, node: ExecutingNode, worlds: Worlds, *, sockets: bool) -> None:
        self._node = node
        self._sockets = sockets
        self._worlds = worlds
        self._numbers = itertools.count(_first_number(node.identity))
        self._live: dict[str, _Exec] = {}
        self._left_over: set[str] = set()
        """Of earlier supervisors, and being seen to."""

    async def output_of(
        self, target: ExecTarget, command: Sequence[str], timeout_s: float | None
    ) -> ExecResult:
        """Run a command without input and keep the first of what it writes."""
        capture, output = Capture(MAX_OUTPUT_BYTES), b""
        try:
            stdio = Stdio(None, capture.write_end, capture.write_end)
            outcome = await self.run(target, command, stdio, timeout_s)
        finally:
            output = capture.finish()
        return ExecResult(outcome=outcome, output=output)

    async def run(
        self, target: ExecTarget, command: Sequence[str], stdio: Stdio, timeout_s: float | None
    ) -> ExecOutcome:
        """Run a command to its end. At the time-out, or cancelled, it gets SIGKILL."""
        try:
            require_program(target.container, command)
        except ProgramNotFoundError as error:
            return ExecOutcome(exit_code=NOT_FOUND_CODE, failure=error.message)
        one = self._begin(target, command, stdio)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(one.outcome)
        except TimeoutError:
            one.kill()
            await asyncio.wait((one.outcome,), timeout=KILL_S)
            return ExecOutcome(exit_code=KILLED_CODE, timed_out=True)
        finally:
            one.kill()

    def end_all(self, uid: PodUid, container: ContainerName | None = None) -> None:
        """Kill what runs in a container, or in all of a pod; who waits for it hears 137."""
        prefix = f"{uid}/" if container is None else f"{uid}/{container}{EXEC_SUFFIX}/"
        for key, one in self._live.items():
            if key.startswith(prefix):
                one.kill()

    def clear(self, table: Iterable[ContainerProcess]) -> list[ContainerProcess]:
        """End what a supervisor before this one ran; return the rows that are no execs.

        Nobody waits for these any more, whoever holds the node name. They leave the keeper's table
        when they are dead.
        """
        runs = []
        for row in table:
            if not is_exec(row.key):
                runs.append(row)
            elif row.key not in self._live and row.key not in self._left_over:
                log.info("exec.left_over", key=row.key, alive=row.exit is None)
                self._left_over.add(row.key)
                self._node.tasks.create_task(self._bury(row.key), name=f"exec-{row.key}")
        return runs

    def _begin(self, target: ExecTarget, command: Sequence[str], stdio: Stdio) -> "_Exec":
        uid, name = target.plan.uid, target.container.name
        world = self._worlds.find(target.plan, target.container, target.run)
        plan = msgspec.structs.replace(
            process_plan(target.plan, world.container, target.image, sockets=self._sockets),
            args=tuple(command),
            preopens=world.preopens,
        )
        spec = SpawnSpec(key=f"{uid}/{name}{EXEC_SUFFIX}/{next(self._numbers)}")
        one = self._live[spec.key] = _Exec(self._node, spec, plan, stdio)
        self._node.tasks.create_task(self._live_of(one), name=f"exec-{spec.key}")
        return one

    async def _live_of(self, one: "_Exec") -> None:
        try:
            await one.live()
        finally:
            del self._live[one.key]

    async def _bury(self, key: str) -> None:
        with suppress(KeeperError):
            while True:
                await self._node.keeper.signal(key, signal.SIGKILL)
                with suppress(ContainerInUseError):
                    await self._node.keeper.forget(key)
                    return
                await asyncio.sleep(LOOK_INTERVAL_S)


class _Exec:
    """One process, from the wish to the row that is forgotten.

    It outlives the caller who is cancelled, because there is a process to see to.
    """

    def __init__(
        self, node: ExecutingNode, spec: SpawnSpec, plan: ProcessPlan, stdio: Stdio
    ) -> None:
        self.key = spec.key
        self.outcome: asyncio.Future[ExecOutcome] = asyncio.get_running_loop().create_future()
        self._node = node
        self._spec = spec
        self._plan = plan
        self._stdio = _own(stdio)
        self._unwanted = False

    def kill(self) -> None:
        """Make an end of it, at whatever point it is; nothing where it has ended."""
        if not self.outcome.done():
            self._unwanted = True
            self._node.keeper.kill_now(self.key)

    async def live(self) -> None:
        try:
            outcome = await self._to_its_end()
        except KeeperError as error:
            # Killed before its guest began, it is no less killed.
            killed = ExecOutcome(exit_code=KILLED_CODE)
            outcome = killed if self._unwanted else _not_started(str(error))
        except asyncio.CancelledError:
            self.kill()
            self.outcome.cancel()
            raise
        except Exception as error:  # a failure of this program is an outcome like any other
            log.exception("exec.failed", key=self.key)
            self.kill()
            outcome = _not_started(f"internal error: {error!r}")
        finally:
            self._node.memory.unwatch(self.key)
        self.outcome.set_result(outcome)

    async def _to_its_end(self) -> ExecOutcome:
        keeper = self._node.keeper
        with keeper.awaited_end(self.key) as ended:
            try:
                await self._spawn_patiently()
            finally:
                for fd in self._stdio:
                    os.close(fd)
            exit_ = await ended
        await keeper.forget(self.key)
        return ExecOutcome(exit_code=exit_.code)

    async def _spawn_patiently(self) -> None:
        for delay_s in RETRY_DELAYS_S:
            try:
                return await self._spawn()
            except SpawnFailedError as error:
                if self._unwanted:
                    raise
                log.warning("exec.spawn_failed", key=self.key, reason=str(error))
            await asyncio.sleep(delay_s)
        return await self._spawn()

    async def _spawn(self) -> None:
        if self._unwanted:
            raise SpawnFailedError("nobody waits for it any more")
        await self._node.keeper.spawn(self._spec, self._plan, self._spawned, stdio=self._stdio)

    async def _spawned(self, spawned: Spawned) -> None:
        """Hear of the process before its guest runs."""
        limit = self._plan.memory_limit_bytes
        if limit is not None:
            self._node.memory.watch(self.key, Watched(spawned.pid, limit, self._exceeded))
        if self._unwanted:
            self._node.keeper.kill_now(self.key)

    def _exceeded(self) -> None:
        log.info("exec.out_of_memory", key=self.key)
        self.kill()


def _first_number(identity: Identity) -> int:
    """Return a number that no earlier supervisor can have given: rows outlive both processes."""
    life = identity.incarnation.start_count * _NUMBERS_OF_A_LIFE + identity.epoch
    return life * _NUMBERS_OF_A_LIFE


def _own(stdio: Stdio) -> tuple[int, int, int]:
    """Return copies: a caller who is cancelled closes his while they may still be needed."""
    stdin, stdout, stderr = stdio
    own = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) if stdin is None else os.dup(stdin)
    return own, os.dup(stdout), os.dup(stderr)


def _not_started(message: str) -> ExecOutcome:
    return ExecOutcome(exit_code=NOT_STARTED_CODE, failure=message)
