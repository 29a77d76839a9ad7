"""The byte streams of an executor as the log-server sees them: each echoes what is written."""

import asyncio

from contract.errors import CommandError
from contract.ids import NodeName
from contract.messages.form import Done
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
from servicekit.bus import Bus


class Echo:
    """One stream. `exit CODE` fails with that code, `absent` with words, the rest is an echo."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self.data = bytearray()
        self.sent = 0
        self.offset = 0
        self.ended: StreamEnd | None = None
        self.changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._said = -1
        self._last = StreamChunk()
        match command:
            case ("exit", code):
                self.data += b"out"
                self.ended = StreamEnd(exit_code=int(code))
            case ("absent",):
                self.ended = StreamEnd(failure='exec: "absent": executable file not found in $PATH')

    async def read(self, command: StreamRead) -> StreamChunk:
        """As an executor answers: a number asked for again is the same chunk."""
        async with self._turn:
            if command.number != self._said:
                self._last = await self._next(command)
                self._said = command.number
            return self._last

    async def _next(self, command: StreamRead) -> StreamChunk:
        if self.sent == len(self.data) and self.ended is None:
            self.changed.clear()
            try:
                async with asyncio.timeout(command.wait_s):
                    await self.changed.wait()
            except TimeoutError:
                return StreamChunk()
        piece = bytes(self.data[self.sent : self.sent + command.max_bytes])
        self.sent += len(piece)
        return StreamChunk(out=piece, end=None if piece else self.ended)

    def write(self, command: StreamWrite) -> StreamTaken:
        fresh = command.data[self.offset - command.offset :]
        self.data += fresh
        self.offset += len(fresh)
        if command.end:
            self.ended = StreamEnd()
        self.changed.set()
        return StreamTaken(offset=self.offset, closed=command.end)


class PeerStreams:
    """All streams of one node; a pod `gone` is not there, a port 1 is nobody's."""

    def __init__(self) -> None:
        self.opened: list[ExecOpen | ForwardOpen | AttachOpen] = []
        self.live: dict[str, Echo] = {}

    async def serve(self, bus: Bus, tasks: asyncio.TaskGroup, node: NodeName) -> None:
        await bus.serve(tasks, ExecOpen, node, self._exec, stream=True)
        await bus.serve(tasks, ForwardOpen, node, self._forward, stream=True)
        await bus.serve(tasks, StreamRead, node, self._read, stream=True)
        await bus.serve(tasks, StreamWrite, node, self._write, stream=True)
        await bus.serve(tasks, StreamClose, node, self._close, stream=True)

    async def _exec(self, _node: NodeName, command: ExecOpen) -> StreamOpened:
        return self._open(command, command.command)

    async def _forward(self, _node: NodeName, command: ForwardOpen) -> StreamOpened:
        if command.port == 1:
            raise CommandError(500, "port 1 is not held by a process of this pod")
        return self._open(command, ()) if command.port else self._found(command.pod)

    def _open(self, command: ExecOpen | ForwardOpen, arguments: tuple[str, ...]) -> StreamOpened:
        opened = self._found(command.pod)
        self.opened.append(command)
        self.live[command.stream] = Echo(arguments)
        return opened

    def _found(self, pod: str) -> StreamOpened:
        if pod == "gone":
            raise CommandError(404, "pod does not exist")
        return StreamOpened()

    async def _read(self, _node: NodeName, command: StreamRead) -> StreamChunk:
        return await self._of(command.stream).read(command)

    async def _write(self, _node: NodeName, command: StreamWrite) -> StreamTaken:
        return self._of(command.stream).write(command)

    async def _close(self, _node: NodeName, command: StreamClose) -> Done:
        self.live.pop(command.stream, None)
        return Done()

    def _of(self, name: str) -> Echo:
        if name not in self.live:
            raise CommandError(404, "the stream has ended")
        return self.live[name]
