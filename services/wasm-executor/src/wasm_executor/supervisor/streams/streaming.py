"""Serves byte streams: which container or port is meant, and the stream by its id.

The id is the opener's, so that an open which is repeated, or comes late, opens once. Nothing waits
between the look at the pod and the stream that is there.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from typing import Final

import structlog

from contract.errors import CommandError
from contract.ids import NodeName, PodUid
from contract.messages.form import Done
from contract.messages.log import LogOpen
from contract.messages.stream import (
    AttachOpen,
    ExecOpen,
    ForwardOpen,
    StreamChunk,
    StreamClose,
    StreamEnd,
    StreamOpened,
    StreamRead,
    StreamTaken,
    StreamWrite,
)
from wasm_executor.domain.container import Container
from wasm_executor.domain.states import ALIVE
from wasm_executor.images.errors import ImageError
from wasm_executor.keeper.errors import KeeperError
from wasm_executor.supervisor.execs.execing import ExecTarget
from wasm_executor.supervisor.execs.execprocess import ExecOutcome, Stdio
from wasm_executor.supervisor.kubeletseries import operation
from wasm_executor.supervisor.logs.serving import Logs
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.podtask import PodTask
from wasm_executor.supervisor.pods.roster import Roster
from wasm_executor.supervisor.pods.runs import RunKey
from wasm_executor.supervisor.pods.work import image_of_run
from wasm_executor.supervisor.streams.bytestream import ByteStream, Inlet
from wasm_executor.supervisor.streams.forwarding import connected_to
from wasm_executor.supervisor.streams.heldstdin import HeldStdin
from wasm_executor.supervisor.streams.piping import Keyboard, Sink, Sources

log = structlog.get_logger()

MAX_STREAMS: Final = 512
"""Each may hold six descriptors and some half a MiB."""
INTERRUPTED_CODE: Final = 128 + signal.SIGINT
_NO_STREAM: Final = "the stream has ended"


class Streams:
    """Handlers of the stream commands."""

    def __init__(self, node: Node, roster: Roster, logs: Logs) -> None:
        self._node = node
        self._roster = roster
        self._logs = logs
        self._open: dict[str, ByteStream] = {}

    async def exec(self, _node: NodeName, command: ExecOpen) -> StreamOpened:
        if command.stream not in self._open:
            with operation("exec"):
                self._begin(command)
        return StreamOpened()

    def _begin(self, command: ExecOpen) -> None:
        self._require_room()
        task = self._pod_of(command.namespace, command.pod)
        container = _running(task, command.uid, command.container)
        if container is None:
            raise CommandError(500, f'container not found ("{command.container}")')
        ends = _Ends(command)
        run = self._run(task, container, command, ends)
        running = self._node.tasks.create_task(run, name=f"stream-{command.stream}")
        running.add_done_callback(lambda _: ends.close_stdio())
        self._add(command.stream, ends.sources, ends.sink, running, running.cancel)

    async def attach(self, _node: NodeName, command: AttachOpen) -> StreamOpened:
        """Say where the log goes on, and open its stdin where there is one and it is wanted."""
        with operation("attach"):
            return await self._attached(command)

    async def _attached(self, command: AttachOpen) -> StreamOpened:
        task = self._pod_of(command.namespace, command.pod)
        container = _running(task, command.uid, command.container)
        if container is None:
            named = f"{command.pod}_{command.namespace}"
            raise CommandError(500, f"container {command.container} not found in pod {named}")
        log_end = LogOpen(
            namespace=command.namespace,
            pod=command.pod,
            container=command.container,
            tail_lines=0,
        )
        cursor = (await self._logs.open(self._node.reporter.node, log_end)).cursor
        if command.stdin and container.plan.stdin and command.stream not in self._open:
            self._require_room()
            self._add_stdin(command.stream, task.pod.plan.uid, container)
        return StreamOpened(cursor=cursor, tty=container.plan.tty)

    def _add_stdin(self, name: str, uid: PodUid, container: Container) -> None:
        key = str(RunKey(uid, container.plan.name, container.history.run))
        keeper = self._node.keeper

        async def close() -> None:
            with suppress(KeeperError):
                await keeper.close_stdin(key)

        stdin = HeldStdin(keeper, key, close if container.plan.stdin_once else None)
        over: asyncio.Future[StreamEnd] = asyncio.get_running_loop().create_future()

        def left() -> None:
            over.cancel()
            if container.plan.stdin_once:
                self._node.tasks.create_task(close(), name=f"stdin-{key}")

        self._add(name, Sources(None, None), stdin, over, left)

    async def forward(self, _node: NodeName, command: ForwardOpen) -> StreamOpened:
        if command.stream not in self._open:
            with operation("port_forward"):
                self._forward(command)
        return StreamOpened()

    def _forward(self, command: ForwardOpen) -> None:
        self._require_room()
        task = self._pod_of(command.namespace, command.pod)
        if command.uid and command.uid != task.pod.plan.uid:
            raise CommandError(404, "pod not found")
        if command.port:
            sources, sink = connected_to(task.pod, command.port, self._node.socket_holders)
            over: asyncio.Future[StreamEnd] = asyncio.get_running_loop().create_future()
            over.set_result(StreamEnd())  # its end is the end of what comes
            self._add(command.stream, sources, sink, over, over.cancel)

    async def read(self, _node: NodeName, command: StreamRead) -> StreamChunk:
        return await self._stream(command.stream).read(command)

    async def write(self, _node: NodeName, command: StreamWrite) -> StreamTaken:
        return await self._stream(command.stream).write(command)

    async def close(self, _node: NodeName, command: StreamClose) -> Done:
        stream = self._open.get(command.stream)
        if stream is not None:
            stream.close()
        return Done()

    async def _run(
        self, task: PodTask, container: Container, command: ExecOpen, ends: "_Ends"
    ) -> StreamEnd:
        try:
            plan, run = task.pod.plan, container.history.run
            image = await image_of_run(self._node, plan, container)
            target = ExecTarget(plan, container.plan, run, image)
            running = self._roster.execs.run(target, command.command, ends.stdio, None)
            outcome = await _unless_interrupted(running, ends.sink)
        except ImageError as error:
            return StreamEnd(failure=error.message)
        except Exception as error:  # the edge of this program: an exec's failure is its own
            log.exception("stream.failed", stream=command.stream)
            return StreamEnd(failure=f"internal error: {error!r}")
        return StreamEnd(exit_code=outcome.exit_code, failure=outcome.failure or "")

    def _add(
        self,
        name: str,
        sources: Sources,
        sink: Inlet | None,
        end: asyncio.Future[StreamEnd],
        on_close: Callable[[], object],
    ) -> None:
        def closed() -> None:
            self._open.pop(name, None)
            on_close()
            log.info("stream.closed", stream=name)

        lease_s = self._node.settings.stream_lease_s
        self._open[name] = ByteStream(sources, sink, end, lease_s=lease_s, on_close=closed)
        log.info("stream.opened", stream=name)

    def _require_room(self) -> None:
        if len(self._open) >= MAX_STREAMS:
            raise CommandError(429, "too many streams are open on this node")

    def _stream(self, name: str) -> ByteStream:
        stream = self._open.get(name)
        if stream is None:
            raise CommandError(404, _NO_STREAM)
        return stream

    def _pod_of(self, namespace: str, name: str) -> PodTask:
        task = self._roster.named(namespace, name)
        if task is None:
            raise CommandError(404, "pod does not exist")
        return task


class _Ends:
    """The pipes of an exec, or its terminal: what it gets, and what stays here.

    Where there are not descriptors enough for all of it, none is kept.
    """

    def __init__(self, command: ExecOpen) -> None:
        self._theirs: list[int] = []
        self._opened = ExitStack()
        self.sink: Sink | None = None
        with self._opened:
            if command.tty:
                self._open_terminal(command)
            else:
                self._open_pipes(command)
            self._opened.pop_all()

    def close_stdio(self) -> None:
        """Close what the process has by now: its end must be the last one."""
        while self._theirs:
            os.close(self._theirs.pop())

    def _open_pipes(self, command: ExecOpen) -> None:
        stdin: int | None = None
        if command.stdin:
            stdin, ours = self._own(*os.pipe2(os.O_CLOEXEC))
            self._theirs.append(stdin)
            self.sink = Sink(ours)
        out, stdout = self._output(command.stdout)
        err, stderr = self._output(command.stderr)
        self.stdio = Stdio(stdin, stdout, stderr)
        self.sources = Sources(out, err)

    def _output(self, wanted: bool) -> tuple[int | None, int]:  # noqa: FBT001 - which of two
        """Return our end and the process's."""
        ours: int | None = None
        if wanted:
            ours, theirs = self._own(*os.pipe2(os.O_CLOEXEC))
        else:
            (theirs,) = self._own(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC))
        self._theirs.append(theirs)
        return ours, theirs

    def _open_terminal(self, command: ExecOpen) -> None:
        """A terminal of the kernel's echoes, edits lines and turns line ends, as people expect."""
        ours, theirs = self._own(*os.openpty())
        self._theirs.append(theirs)
        if command.stdin:
            self.sink = Keyboard(os.dup(ours))
        self.stdio = Stdio(theirs if command.stdin else None, theirs, theirs)
        self.sources = Sources(ours, None)

    def _own(self, *descriptors: int) -> tuple[int, ...]:
        for each in descriptors:
            self._opened.callback(os.close, each)
        return descriptors


async def _unless_interrupted(
    running: Coroutine[None, None, ExecOutcome], sink: Sink | None
) -> ExecOutcome:
    """Return how a command ended: killed, when Ctrl-C is typed at its terminal."""
    if not isinstance(sink, Keyboard):
        return await running
    async with asyncio.TaskGroup() as tasks:
        command = tasks.create_task(running, name="terminal-command")
        keyboard = tasks.create_task(sink.interrupted.wait(), name="terminal-keyboard")
        await asyncio.wait((command, keyboard), return_when=asyncio.FIRST_COMPLETED)
        ended = command.done()
        for task in (command, keyboard):
            task.cancel()
    return command.result() if ended else ExecOutcome(exit_code=INTERRUPTED_CODE)


def _running(task: PodTask, uid: str, name: str) -> Container | None:
    """Return the container if it runs, in the pod that is meant."""
    if uid and uid != task.pod.plan.uid:
        return None
    found = next((each for each in task.pod.containers if each.plan.name == name), None)
    return found if found is not None and found.phase in ALIVE else None
