"""Reading and writing the far ends of a process's stdio, or of a socket, without ever blocking.

What nobody reads stays in the kernel's buffer, and the process waits. What the process does not
read waits here, at most what one write brought.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

READ_SIZE: Final = 64 * 1024
INTERRUPT: Final = b"\x03"


class Taken(NamedTuple):
    """What was there to read."""

    out: bytes
    err: bytes


class Sources:
    """One or two descriptors that are read together, until both are at their end."""

    def __init__(self, out: int | None, err: int | None) -> None:
        self._fds = {name: fd for name, fd in (("out", out), ("err", err)) if fd is not None}
        self._ready = asyncio.Event()
        for fd in self._fds.values():
            os.set_blocking(fd, False)

    @property
    def over(self) -> bool:
        """Nothing comes any more."""
        return not self._fds

    def close(self) -> None:
        """Read nothing more; who waits finds the end."""
        for name in list(self._fds):
            self._drop(name)
        self._ready.set()

    async def read(self, most_bytes: int, wait_s: float) -> Taken:
        """Return what is there, waiting for the first byte or the end."""
        taken = self._take(most_bytes)
        if taken == Taken(b"", b"") and self._fds and wait_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._readable()
            taken = self._take(most_bytes)
        return taken

    async def _readable(self) -> None:
        loop, ready = asyncio.get_running_loop(), self._ready
        watched = tuple(self._fds.values())
        for fd in watched:
            loop.add_reader(fd, ready.set)
        try:
            await ready.wait()
        finally:
            for fd in watched:
                if fd in self._fds.values():  # else it is closed, and may be somebody else's
                    loop.remove_reader(fd)
            if self._fds:
                ready.clear()

    def _take(self, most_bytes: int) -> Taken:
        parts = {"out": b"", "err": b""}
        for name in list(self._fds):
            parts[name] = self._read_one(name, most_bytes - len(parts["out"]))
        return Taken(**parts)

    def _read_one(self, name: str, most_bytes: int) -> bytes:
        read = bytearray()
        while len(read) < most_bytes:
            try:
                piece = os.read(self._fds[name], min(READ_SIZE, most_bytes - len(read)))
            except BlockingIOError:
                break
            except OSError:  # EIO of a terminal whose last user has gone; a connection reset
                piece = b""
            if not piece:
                self._drop(name)
                break
            read += piece
        return bytes(read)

    def _drop(self, name: str) -> None:
        fd = self._fds.pop(name)
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)


class Sink:
    """One descriptor that is written in order. `end` makes the far side read end-of-file."""

    def __init__(self, fd: int, end: Callable[[int], None] = os.close) -> None:
        self.offset = 0
        """How much has been taken."""
        self._fd: int | None = fd
        self._end = end
        self._rest = b""
        self._ending = False
        self._empty = asyncio.Event()
        self._empty.set()
        self._turn = asyncio.Lock()
        os.set_blocking(fd, False)

    @property
    def closed(self) -> bool:
        """Nobody reads on; what is written is dropped."""
        return self._fd is None

    async def take(self, offset: int, data: bytes, wait_s: float, *, end: bool) -> None:
        """Take what is new of these bytes, once what came before them is gone."""
        async with self._turn:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._empty.wait()
            if not self._empty.is_set():
                return
            fresh = data[self.offset - offset :] if offset <= self.offset else b""
            self.offset += len(fresh)
            self._rest = fresh
            self._ending = self._ending or (end and offset + len(data) <= self.offset)
            self._flush()

    def close(self) -> None:
        """End it, whatever waits."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            asyncio.get_running_loop().remove_writer(fd)
            self._rest = b""
            self._end(fd)
        self._empty.set()

    def _flush(self) -> None:
        if self._fd is None:
            self._rest = b""
            return
        try:
            while self._rest:
                self._rest = self._rest[os.write(self._fd, self._rest) :]
        except BlockingIOError:
            self._empty.clear()
            asyncio.get_running_loop().add_writer(self._fd, self._flush)
            return
        except OSError:  # nobody reads there any more
            self.close()
            return
        asyncio.get_running_loop().remove_writer(self._fd)
        self._empty.set()
        if self._ending:
            self.close()


class Keyboard(Sink):
    """A terminal's input. Ctrl-C ends the program: no signal would reach it."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self.interrupted = asyncio.Event()

    async def take(self, offset: int, data: bytes, wait_s: float, *, end: bool) -> None:
        if INTERRUPT in data:
            self.interrupted.set()
        await super().take(offset, data, wait_s, end=end)
