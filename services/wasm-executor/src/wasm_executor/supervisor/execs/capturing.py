"""The first bytes of what a process writes; the rest is read and thrown away.

So it never waits for its reader, and costs the event loop little however much it writes.
"""

import asyncio
import os
from typing import Final

READ_SIZE: Final = 64 * 1024
PAUSE_S: Final = 0.01
"""Between two reads of what nobody keeps."""


class Capture:
    """One pipe. Give `write_end` away as stdout and stderr; end it with `finish`."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept = bytearray()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._read_end, self.write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read_end, False)
        self._loop.add_reader(self._read_end, self._turn)

    def finish(self) -> bytes:
        """Take what is left in the pipe, close it, and return what was kept."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._read_end)
        os.close(self.write_end)
        while not self._full and self._read():
            pass
        os.close(self._read_end)
        return bytes(self._kept)

    @property
    def _full(self) -> bool:
        return len(self._kept) >= self._most_bytes

    def _turn(self) -> None:
        self._read()
        if self._full:
            self._loop.remove_reader(self._read_end)
            self._pause = self._loop.call_later(PAUSE_S, self._turn)

    def _read(self) -> bool:
        try:
            chunk = os.read(self._read_end, READ_SIZE)
        except BlockingIOError:
            return False
        self._kept += chunk[: self._most_bytes - len(self._kept)]
        return bool(chunk)
