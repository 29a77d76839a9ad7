"""The keeper: owner of every other process of the executor, and of the containers' table."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec

from wasm_executor.container.plan import StartFailureReason
from wasm_executor.keeper.children import Service, spawn_bound
from wasm_executor.keeper.containers import RunningContainer
from wasm_executor.keeper.events import emit, warn
from wasm_executor.keeper.identity import Identity
from wasm_executor.keeper.link import SupervisorLink
from wasm_executor.keeper.loop import EventLoop
from wasm_executor.keeper.protocol import (
    LIST_PAGE,
    CloseStdin,
    ContainerProcess,
    Done,
    Exit,
    Exited,
    Forget,
    FromKeeper,
    ListContainers,
    Listed,
    OfContainer,
    Refusal,
    Refused,
    Request,
    SendSignal,
    Spawn,
    Spawned,
    WriteStdin,
)
from wasm_executor.keeper.records import Records
from wasm_executor.keeper.settings import KeeperSettings
from wasm_executor.keeper.spawning import Born, Spawner, SpawnOrder

ZYGOTE: Final = (sys.executable, "-I", "-m", "wasm_executor.zygote")
WRONG_SETTING: Final = 2
"""The supervisor's exit code where starting it again is no use: whoever started us must know."""
DRAIN_S: Final = 5.0
"""How long the last lines of killed containers may take at the very end."""


class Row(msgspec.Struct, kw_only=True, eq=False):
    """A line of the table; `running` is None once the exit is known."""

    process: ContainerProcess
    running: RunningContainer | None = None

    def write_stdin(self, data: bytes) -> Refusal | None:
        """Give a running container's stdin these bytes, or say why not."""
        return Refusal.STDIN_CLOSED if self.running is None else self.running.write_stdin(data)


class Keeper:
    """Runs until told to stop; see `__main__` for what it is told."""

    def __init__(
        self,
        identity: Identity,
        settings: KeeperSettings,
        supervisor_command: tuple[str, ...],
        environ: Mapping[str, str],
    ) -> None:
        self._identity = identity
        self._command = supervisor_command
        self._environ = environ
        self._loop = EventLoop()
        self._records = Records(settings.run_dir)
        zygote = (*ZYGOTE, settings.privilege_profile)
        self._spawner = Spawner(self._loop, self._records, zygote, settings)
        self._supervisor = Service(
            "supervisor", self._loop, self._launch_supervisor, settings.keeper_restart_max_s
        )
        self._link: SupervisorLink | None = None
        self._epoch = 0
        self._rows: dict[str, Row] = {}
        self._by_pid: dict[int, RunningContainer] = {}
        self._starting: set[str] = set()
        self._stopping = False
        self._finishing = False
        self._power_fails = False
        self._exit_code = 0

    def run(self) -> int:
        """Bury what a dead keeper left, serve until a signal says stop; return the exit code."""
        for ended in self._records.bury():
            self._rows[ended.key] = Row(process=ended)
        self._loop.on_signal(signal.SIGCHLD, self._reap)
        self._loop.on_signal(signal.SIGTERM, self._stop)
        self._loop.on_signal(signal.SIGINT, self._stop)
        self._loop.on_signal(signal.SIGPWR, self._pass_on_power_failure)
        emit("keeper.started", **msgspec.structs.asdict(self._identity), buried=len(self._rows))
        self._spawner.service.start()
        self._supervisor.start()
        self._loop.run()
        emit("keeper.stopped")
        return self._exit_code

    # The services

    def _launch_supervisor(self) -> int:
        self._epoch += 1
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = (
                *self._command,
                *("--keeper-fd", str(theirs.fileno())),
                *("--executor-id", self._identity.executor_id),
                *("--start-count", str(self._identity.start_count)),
                *("--epoch", str(self._epoch)),
            )
            held = (signal.SIGPWR,)
            pid = spawn_bound(arguments, self._environ, theirs.fileno(), held)
        if self._link is not None:
            self._link.close()
        self._link = SupervisorLink(self._loop, ours, self._handle, self._spawner.drop_waiting)
        emit("supervisor.started", pid=pid, epoch=self._epoch)
        if self._power_fails:
            os.kill(pid, signal.SIGPWR)
        return pid

    def _stop(self) -> None:
        """Let the supervisor stop the containers; its end is what everything else waits for."""
        self._stopping = True
        self._supervisor.stop(signal.SIGTERM)
        if self._supervisor.pid is None:
            self._finish()

    def _pass_on_power_failure(self) -> None:
        """Let the supervisor end the pods: the host shuts down. Those after it hear it too."""
        self._power_fails = True
        if self._supervisor.pid is not None:
            os.kill(self._supervisor.pid, signal.SIGPWR)

    def _finish(self) -> None:
        """Kill what is left, write what it had said, leave."""
        self._finishing = True
        self._spawner.stop()
        for container in self._by_pid.values():
            container.signal(signal.SIGKILL)
        self._loop.call_later(DRAIN_S, self._loop.stop)
        self._leave_when_drained()

    def _leave_when_drained(self) -> None:
        if self._finishing and all(row.running is None for row in self._rows.values()):
            self._loop.stop()

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._loop.attempt(partial(self._reaped, pid, status))

    def _reaped(self, pid: int, status: int) -> None:
        container = self._by_pid.pop(pid, None)
        if container is not None:
            container.reap(status)
            return
        for service in (self._supervisor, self._spawner.service):
            if service.pid == pid:
                delay_s = service.ended()
                code = os.waitstatus_to_exitcode(status)
                tell = emit if code == 0 or self._stopping else warn
                tell(f"{service.name}.ended", pid=pid, code=code, restart_in_s=delay_s)
                if service is self._supervisor and code == WRONG_SETTING and not self._by_pid:
                    self._stopping, self._exit_code = True, code
        if self._stopping and not self._finishing and self._supervisor.pid is None:
            self._finish()

    # The supervisor's requests

    def _handle(self, request: Request, fds: list[int]) -> None:
        match request:
            case Spawn():
                self._spawn(request, fds)
            case ListContainers():
                self._list(request)
            case SendSignal():
                self._with_row(request, lambda row: _signal(row, request.signum))
            case CloseStdin():
                self._with_row(request, _close_stdin)
            case WriteStdin():
                self._with_row(request, lambda row: row.write_stdin(request.data))
            case Forget():
                self._with_row(request, self._forget)

    def _spawn(self, request: Spawn, fds: list[int]) -> None:
        key = request.spec.key
        order = SpawnOrder(
            request=request,
            fds=tuple(fds),
            on_born=self._born,
            on_failed=lambda message: self._not_born(request, message),
        )
        if len(fds) != request.spec.descriptors:
            order.close()
            self._refuse(request.id, Refusal.SPAWN_FAILED, "no descriptor is left for its plan")
        elif key in self._rows or key in self._starting:
            order.close()
            self._refuse(request.id, Refusal.KEY_IN_USE, f"{key} exists")
        else:
            self._starting.add(key)
            self._spawner.submit(order)

    def _born(self, born: Born) -> None:
        """Record it, take its output, answer; only then does it go on."""
        if self._finishing:
            born.gate.close()
            return
        key = born.order.request.spec.key
        process = ContainerProcess(key=key, pid=born.pid, started_at=datetime.now(UTC))
        self._records.save(process, born.start_ticks)
        running = RunningContainer(process, born.ends, self._loop, self._ended)
        self._starting.discard(key)
        self._rows[key] = Row(process=process, running=running)
        self._by_pid[born.pid] = running
        self._send(Spawned(id=born.order.request.id, pid=born.pid, started_at=process.started_at))
        born.let_in()

    def _not_born(self, request: Spawn, message: str) -> None:
        self._starting.discard(request.spec.key)
        self._refuse(request.id, Refusal.SPAWN_FAILED, message)

    def _ended(self, exit_: Exit) -> None:
        """Keep the exit in table and record, then tell it."""
        row = self._rows[exit_.key]
        row.running = None
        outcome = self._records.outcome(exit_.key)
        if outcome.failure is not None and outcome.failure.reason is StartFailureReason.PLAN_LOST:
            self._forget(row)  # nobody knows of it, and no guest ran
        else:
            exit_ = msgspec.structs.replace(exit_, trap=outcome.trap, failure=outcome.failure)
            row.process = msgspec.structs.replace(row.process, exit=exit_)
            self._records.save_end(row.process)
            self._send(Exited(exit=exit_))
        self._leave_when_drained()

    def _list(self, request: ListContainers) -> None:
        processes = [
            msgspec.structs.replace(
                row.process, log_blocked=row.running is not None and row.running.log_blocked
            )
            for row in self._rows.values()
        ]
        for at in range(0, len(processes) or 1, LIST_PAGE):
            page = tuple(processes[at : at + LIST_PAGE])
            self._send(Listed(id=request.id, containers=page, more=at + LIST_PAGE < len(processes)))

    def _with_row(self, request: OfContainer, act: Callable[[Row], Refusal | None]) -> None:
        row = self._rows.get(request.key)
        refusal = Refusal.UNKNOWN_KEY if row is None else act(row)
        if refusal is None:
            self._send(Done(id=request.id))
        else:
            self._refuse(request.id, refusal, request.key)

    def _forget(self, row: Row) -> Refusal | None:
        if row.running is not None:
            if not row.running.reaped:
                return Refusal.STILL_RUNNING
            row.running.abandon()  # a full disk holds its log, and nobody wants it any more
        del self._rows[row.process.key]
        self._records.remove(row.process.key)
        return None

    def _refuse(self, number: int, reason: Refusal, message: str) -> None:
        self._send(Refused(id=number, reason=reason, message=message))

    def _send(self, message: FromKeeper) -> None:
        if self._link is not None:
            self._link.send(message)


def _signal(row: Row, signum: int) -> None:
    if row.running is not None:
        row.running.signal(signum)


def _close_stdin(row: Row) -> None:
    if row.running is not None:
        row.running.close_stdin()
