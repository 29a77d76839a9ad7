"""Cut a stream of bytes into lines of any length.

A watch event is one line, and an object may have more than a megabyte; aiohttp's own readline
refuses long lines, and appending chunk by chunk to one buffer copies it again for each.
"""

from typing import Final

from kubekit.errors import MalformedAnswerError

# etcd refuses requests over 1.5 MiB by default; nothing legitimate comes near this.
MAX_LINE_BYTES: Final = 64 * 1024 * 1024


class LineSplitter:
    """Feed it chunks, take whole lines; `rest` is what had no newline yet."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_line_bytes
        self._parts: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes, without their newlines and without empty ones."""
        *ends, last = chunk.split(b"\n")
        lines = []
        for end in ends:
            self._keep(end)
            lines.append(self._take())
        self._keep(last)
        return [line for line in lines if line.strip()]

    def rest(self) -> bytes:
        """What came after the last newline: half a line, if the stream ended in the middle."""
        return self._take()

    def _keep(self, part: bytes) -> None:
        self._held += len(part)
        if self._held > self._max:
            raise MalformedAnswerError(f"a line longer than {self._max} bytes")
        if part:
            self._parts.append(part)

    def _take(self) -> bytes:
        line = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._held = 0
        return line
