"""The keeper's end of its socket to the supervisor.

Never blocks: a supervisor that does not read (stopped, or busy) finds its messages later, in
order. One that is gone is forgotten; the next has a socket of its own.
"""

import os
import socket
from collections import deque
from collections.abc import Callable

import msgspec

from wasm_executor.keeper.descriptors import receive
from wasm_executor.keeper.events import warn
from wasm_executor.keeper.loop import READABLE, WRITABLE, EventLoop
from wasm_executor.keeper.protocol import (
    MAX_MESSAGE,
    STDIO,
    FromKeeper,
    Request,
    encoder,
    request_decoder,
)


class SupervisorLink:
    """One supervisor's connection."""

    def __init__(
        self,
        loop: EventLoop,
        connection: socket.socket,
        on_request: Callable[[Request, list[int]], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._on_request = on_request
        self._on_closed = on_closed
        self._unsent: deque[bytes] = deque()
        self._open = True
        connection.setblocking(False)
        loop.add(connection.fileno(), self._turn, on_failed=self.close)

    def send(self, message: FromKeeper) -> None:
        if self._open:
            self._unsent.append(encoder.encode(message))
            self._flush()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove(self._connection.fileno())
            self._connection.close()
            self._on_closed()

    def _turn(self) -> None:
        self._flush()
        if self._open:
            self._hear()

    def _hear(self) -> None:
        try:
            data, fds = receive(self._connection, MAX_MESSAGE, most_fds=1 + STDIO)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data, fds = b"", []
        if not data:
            self.close()
            return
        try:
            request = request_decoder.decode(data)
        except msgspec.DecodeError as error:
            warn("request.refused", error=str(error))
            for fd in fds:
                os.close(fd)
            return
        self._on_request(request, fds)

    def _flush(self) -> None:
        waited = bool(self._unsent)
        while self._unsent:
            try:
                self._connection.send(self._unsent[0])
            except BlockingIOError:
                self._loop.change(self._connection.fileno(), READABLE | WRITABLE)
                return
            except (BrokenPipeError, ConnectionResetError):
                self.close()
                return
            self._unsent.popleft()
        if waited:
            self._loop.change(self._connection.fileno(), READABLE)
