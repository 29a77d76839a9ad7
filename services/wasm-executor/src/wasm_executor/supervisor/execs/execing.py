"""Runs a command in a container's world: exec probes, exec hooks, `kubectl exec`.

The command is a new instance of the container's module, or of the node's toolbox: the same
environment, folders and limits, arguments of its own, and stdin, stdout and stderr of the caller.
Its process is the keeper's child as every container's is, under `{pod uid}/{container}.exec/{n}`.
It ends at the latest with its container's run, or when nobody waits for it any more.
"""

import asyncio
import itertools
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec
import structlog

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, PodPlan
from wasm_executor.images.errors import ImageError
from wasm_executor.images.records import PreparedImage
from wasm_executor.keeper.errors import ContainerInUseError, KeeperError
from wasm_executor.keeper.protocol import EXEC_SUFFIX, ContainerProcess, SpawnSpec, is_exec
from wasm_executor.supervisor.execs.capturing import Capture
from wasm_executor.supervisor.execs.execprocess import (
    KILLED_CODE,
    NOT_STARTED_CODE,
    ExecOutcome,
    ExecProcess,
    ExecutingNode,
    Stdio,
)
from wasm_executor.supervisor.execs.programs import Program, ProgramNotFoundError, Programs
from wasm_executor.supervisor.identity import Identity
from wasm_executor.supervisor.kubeletseries import operation
from wasm_executor.supervisor.pods.work import DEFAULT_RUNTIME, process_plan
from wasm_executor.supervisor.pods.worlds import World, Worlds

log = structlog.get_logger()

NOT_FOUND_CODE: Final = 127
MAX_OUTPUT_BYTES: Final = 10 * 1024
"""What the kubelet keeps of a probe's output."""
LOOK_INTERVAL_S: Final = 0.05
START_S: Final = 120.0
"""How long the start of a command with a time-out may take: no part of that is its own doing."""
STARTS_AT_ONCE: Final = 4
"""Of commands with a time-out. More would only share the processors, and hold up containers."""
_NUMBERS_OF_A_LIFE: Final = 10**9


class ExecTarget(NamedTuple):
    """A container's run, and the image that it runs."""

    plan: PodPlan
    container: ContainerPlan
    run: int
    image: PreparedImage


class ExecResult(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended, and the first of what it wrote: stdout and stderr as they came."""

    outcome: ExecOutcome
    output: bytes


class Execs:
    """All of this executor."""

    def __init__(
        self, node: ExecutingNode, worlds: Worlds, programs: Programs, *, sockets: bool
    ) -> None:
        self._node = node
        self._programs = programs
        self._looking: set[_Looking] = set()
        self._sockets = sockets
        self._worlds = worlds
        self._numbers = itertools.count(_first_number(node.identity))
        self._starts = asyncio.Semaphore(STARTS_AT_ONCE)
        self._live: dict[str, ExecProcess] = {}
        self._left_over: set[str] = set()
        """Of earlier supervisors, and being seen to."""

    async def output_of(
        self, target: ExecTarget, command: Sequence[str], timeout_s: float | None
    ) -> ExecResult:
        """Run a command without input and keep the first of what it writes."""
        capture, output = Capture(MAX_OUTPUT_BYTES), b""
        try:
            stdio = Stdio(None, capture.write_end, capture.write_end)
            with operation("exec_sync") as failed:
                outcome = await self.run(target, command, stdio, timeout_s)
                if outcome.failure is not None or outcome.timed_out:
                    failed()
        finally:
            output = capture.finish()
        return ExecResult(outcome=outcome, output=output)

    async def run(
        self, target: ExecTarget, command: Sequence[str], stdio: Stdio, timeout_s: float | None
    ) -> ExecOutcome:
        """Run a command to its end. At the time-out, or cancelled, it gets SIGKILL.

        The time-out counts from its guest's start, as with the CRI's runtimes: that a node has much
        to do says nothing of a container.
        """
        try:
            program = await self._find(target, command)
        except ProgramNotFoundError as error:
            return ExecOutcome(exit_code=NOT_FOUND_CODE, failure=error.message)
        except ImageError as error:
            return ExecOutcome(exit_code=NOT_STARTED_CODE, failure=error.message)
        if program is None:
            return ExecOutcome(exit_code=KILLED_CODE)
        if timeout_s is not None:
            return await self._run_within(timeout_s, target, program, stdio)
        one = self._begin(target, program, stdio)
        try:
            return await asyncio.shield(one.outcome)
        finally:
            one.kill()

    async def _find(self, target: ExecTarget, command: Sequence[str]) -> Program | None:
        """Return the program, or None if the container's run has ended meanwhile."""
        looking = _Looking(f"{target.plan.uid}/{target.container.name}{EXEC_SUFFIX}/")
        self._looking.add(looking)
        try:
            program = await self._programs.find(
                target.container,
                target.image,
                lambda: self._world_of(target).preopens,
                command,
                target.plan,
            )
        finally:
            self._looking.remove(looking)
        return None if looking.in_vain else program

    async def _run_within(
        self, timeout_s: float, target: ExecTarget, program: Program, stdio: Stdio
    ) -> ExecOutcome:
        async with self._starts:
            one = self._begin(target, program, stdio)
            try:
                async with asyncio.timeout(START_S):
                    await one.begun.wait()
            except TimeoutError:
                return await one.overdue()
            except asyncio.CancelledError:
                one.kill()
                raise
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(one.outcome)
        except TimeoutError:
            return await one.overdue()
        finally:
            one.kill()

    def end_all(self, uid: PodUid, container: ContainerName | None = None) -> None:
        """Kill what runs in a container, or in all of a pod; who waits for it hears 137."""
        prefix = f"{uid}/" if container is None else f"{uid}/{container}{EXEC_SUFFIX}/"
        for key, one in self._live.items():
            if key.startswith(prefix):
                one.kill()
        for looking in self._looking:
            if looking.prefix.startswith(prefix):
                looking.in_vain = True

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

    def _begin(self, target: ExecTarget, program: Program, stdio: Stdio) -> ExecProcess:
        uid, name = target.plan.uid, target.container.name
        world = self._world_of(target)
        own = process_plan(target.plan, world.container, program.image, sockets=self._sockets)
        plan = msgspec.structs.replace(
            own,
            runtime=own.runtime if program.is_own else DEFAULT_RUNTIME,
            args=program.args,
            preopens=world.preopens,
            http=None,  # it is no command of a handler's pod to serve, too
        )
        spec = SpawnSpec(key=f"{uid}/{name}{EXEC_SUFFIX}/{next(self._numbers)}")
        one = self._live[spec.key] = ExecProcess(self._node, spec, plan, stdio)
        self._node.tasks.create_task(self._live_of(one), name=f"exec-{spec.key}")
        return one

    def _world_of(self, target: ExecTarget) -> World:
        return self._worlds.find(target.plan, target.container, target.run, target.image.rootfs)

    async def _live_of(self, one: ExecProcess) -> None:
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


class _Looking:
    """Somebody who waits to know what his command is."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.in_vain = False


def _first_number(identity: Identity) -> int:
    """Return a number that no earlier supervisor can have given: rows outlive both processes."""
    life = identity.incarnation.start_count * _NUMBERS_OF_A_LIFE + identity.epoch
    return life * _NUMBERS_OF_A_LIFE
