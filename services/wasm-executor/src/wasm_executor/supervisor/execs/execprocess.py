"""One process of a command in a container's world, from the wish to the row that is forgotten."""

import asyncio
import os
import signal
from typing import Final, NamedTuple, Protocol

import msgspec
import structlog

from wasm_executor.container.plan import ProcessPlan
from wasm_executor.keeper.client import KeeperClient, Spawned
from wasm_executor.keeper.errors import KeeperError, SpawnFailedError
from wasm_executor.keeper.protocol import SpawnSpec
from wasm_executor.supervisor.identity import Identity
from wasm_executor.supervisor.memory import MemoryWatch, Watched

log = structlog.get_logger()

NOT_STARTED_CODE: Final = 126
"""What a shell says of a program that is there and does not run."""
KILLED_CODE: Final = 128 + signal.SIGKILL
KILL_S: Final = 2.0
"""How long a killed process may take to be gone before its caller goes on."""
RETRY_DELAYS_S: Final = (0.05, 0.1, 0.2, 0.4)
"""A zygote that was killed is back within a moment."""


class ExecutingNode(Protocol):
    """What of the node an exec needs."""

    identity: Identity
    tasks: asyncio.TaskGroup
    keeper: KeeperClient
    memory: MemoryWatch


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


class ExecProcess:
    """It outlives the caller who is cancelled, because there is a process to see to."""

    def __init__(
        self, node: ExecutingNode, spec: SpawnSpec, plan: ProcessPlan, stdio: Stdio
    ) -> None:
        self.key = spec.key
        self.outcome: asyncio.Future[ExecOutcome] = asyncio.get_running_loop().create_future()
        self.begun = asyncio.Event()
        """Its guest runs, or never will."""
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

    async def overdue(self) -> ExecOutcome:
        """Kill it; it may have ended by itself while this loop was too busy to hear of it."""
        self.kill()
        await asyncio.wait((self.outcome,), timeout=KILL_S)
        killed = ExecOutcome(exit_code=KILLED_CODE, timed_out=True)
        outcome = self.outcome.result() if self.outcome.done() else killed
        return killed if outcome.exit_code == KILLED_CODE else outcome

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
            self.begun.set()
        self.outcome.set_result(outcome)

    async def _to_its_end(self) -> ExecOutcome:
        keeper = self._node.keeper
        with keeper.awaited_end(self.key) as ended:
            try:
                await self._spawn_patiently()
                self.begun.set()
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
        self._node.memory.watch(self.key, Watched(spawned.pid, limit, self._exceeded))
        if self._unwanted:
            self._node.keeper.kill_now(self.key)

    def _exceeded(self) -> None:
        log.info("exec.out_of_memory", key=self.key)
        self.kill()


def _own(stdio: Stdio) -> tuple[int, int, int]:
    """Return copies: a caller who is cancelled closes his while they may still be needed."""
    stdin, stdout, stderr = stdio
    own = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) if stdin is None else os.dup(stdin)
    return own, os.dup(stdout), os.dup(stderr)


def _not_started(message: str) -> ExecOutcome:
    return ExecOutcome(exit_code=NOT_STARTED_CODE, failure=message)
