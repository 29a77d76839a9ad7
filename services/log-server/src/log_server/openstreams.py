"""How many log streams are open, and what they leave behind.

A stalled reader holds some half a megabyte of buffers. After many of them the C library would keep
that memory for ever, a hundred megabytes after a burst of 200, so it is asked to give it back.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from log_server.metrics import LOG_STREAMS

_BURST: Final = 16
"""Fewer streams at once leave nothing that would be worth the millisecond."""


class OpenStreams:
    """Counts the streams of this process."""

    def __init__(self) -> None:
        self._open = 0
        self._most = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a stream for the length of the block."""
        self._open += 1
        self._most = max(self._most, self._open)
        LOG_STREAMS.set(self._open)
        try:
            yield
        finally:
            self._open -= 1
            LOG_STREAMS.set(self._open)
            if self._open == 0:
                self._clean_up()

    def _clean_up(self) -> None:
        if self._most >= _BURST:
            _trim()
        self._most = 0


def _trim() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
    if trim is not None:
        trim(0)
