"""Progress of an upload: a bar on a terminal, plain lines elsewhere (a CI log keeps them all)."""

import time
from collections.abc import Iterator
from typing import Final, TextIO

_WIDTH: Final = 30
_REDRAW_S: Final = 0.1
_CHUNK: Final = 1 << 16
_UNITS: Final = ("B", "KiB", "MiB", "GiB")
_STEP: Final = 1024


class Progress:
    """Tells one upload on a stream."""

    def __init__(self, stream: TextIO, title: str, total: int) -> None:
        self._stream = stream
        self._title = title
        self._total = total
        self._on_terminal = stream.isatty()
        self._drawn_at = 0.0

    def begin(self) -> None:
        if not self._on_terminal:
            self._line(f"pushing {self._title}: {size_text(self._total)}")

    def moved(self, done: int) -> None:
        now = time.monotonic()
        if self._on_terminal and (now - self._drawn_at >= _REDRAW_S or done >= self._total):
            self._drawn_at = now
            self._draw(done)

    def end(self, remark: str) -> None:
        if self._on_terminal:
            self._stream.write("\r\x1b[K")
        self._line(f"{remark} {self._title}: {size_text(self._total)}")

    def _draw(self, done: int) -> None:
        share = done / self._total if self._total else 1.0
        bar = "#" * round(share * _WIDTH)
        counts = f"{size_text(done)} of {size_text(self._total)}"
        self._stream.write(f"\r\x1b[K{self._title} [{bar:<{_WIDTH}}] {share:4.0%} {counts}")
        self._stream.flush()

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


class ReportedBody:
    """A request body that tells how much of it was taken; it can be sent again from the start."""

    def __init__(self, content: bytes, progress: Progress) -> None:
        self._content = content
        self._progress = progress

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        view = memoryview(self._content)
        for start in range(0, len(view), _CHUNK):
            yield bytes(view[start : start + _CHUNK])
            self._progress.moved(min(start + _CHUNK, len(view)))


def size_text(size: int) -> str:
    value = float(size)
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= _STEP
    raise AssertionError("the last unit takes all")
