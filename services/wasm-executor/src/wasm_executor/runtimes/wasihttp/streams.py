"""Byte streams and what can be waited for, as `wasi:io` has them.

Nothing here blocks by itself: whoever has to wait names a `Source`, and the instance waits for it
while other requests of the same process go on.
"""

import os
import select
import time
from typing import Final, Protocol

from wasm_executor.runtimes.wasihttp.errors import StreamClosedError

READABLE: Final = select.POLLIN
WRITABLE: Final = select.POLLOUT
MOST_READ: Final = 64 * 1024
"""What one read returns at most, however much is asked for."""


type Awaited = tuple[int, int] | tuple[int, int, float] | float | None
"""A descriptor with events and perhaps until when, or a time alone; None if ready."""


class Source(Protocol):
    """Something that becomes ready."""

    def ready(self) -> bool:
        """Whether a wait would be over; it may look at the socket."""

    def awaited(self) -> Awaited:
        """Name what to wait for."""


class InputStream(Source, Protocol):
    """Where a guest reads."""

    def read(self, size: int) -> bytes:
        """Return what is there; nothing means to wait. At the end raise `StreamClosedError`."""

    def close(self) -> None:
        """The guest has dropped it."""


class OutputStream(Source, Protocol):
    """Where a guest writes."""

    def room(self) -> int:
        """Return how much may be written now; 0 means to wait."""

    def write(self, data: bytes) -> None:
        """Take data that there is room for."""

    def flush(self) -> None:
        """Begin to send all that was written."""

    def flushed(self) -> bool:
        """Whether all of it has been sent."""

    def close(self) -> None:
        """The guest has dropped it."""


class Always:
    """What is ready at once."""

    def ready(self) -> bool:
        return True

    def awaited(self) -> Awaited:
        return None


class Instant:
    """A moment of the monotonic clock."""

    def __init__(self, at: float) -> None:
        self._at = at

    def ready(self) -> bool:
        return time.monotonic() >= self._at

    def awaited(self) -> Awaited:
        return self._at


class Empty(Always):
    """An input that has ended: a handler's stdin."""

    def read(self, size: int) -> bytes:  # noqa: ARG002 - an input stream's
        raise StreamClosedError("the end of the stream")

    def close(self) -> None:
        """There is nothing to let go."""


class Descriptor(Always):
    """An output of this process. A full pipe blocks, as it does any program."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def room(self) -> int:
        return MOST_READ

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._fd, data) :]

    def flush(self) -> None:
        """Nothing is held back."""

    def flushed(self) -> bool:
        return True

    def close(self) -> None:
        """Others write there, too."""
