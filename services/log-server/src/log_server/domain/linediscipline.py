"""What a terminal does between a keyboard and a program that reads lines.

A guest's stdio are pipes. Who attaches to a container that was promised a terminal sits at a raw
keyboard, which echoes nothing, sends a carriage return and edits no line: that is done here.
"""

from typing import Final, NamedTuple

_ERASE: Final = (0x7F, 0x08)
_END: Final = 0x04
_INTERRUPT: Final = 0x03
_KILL: Final = 0x15
_RETURN: Final = (0x0D, 0x0A)
_RUBBED_OUT: Final = b"\b \b"
_HIGH_BITS: Final = 0b11000000
_CONTINUATION: Final = 0b10000000
MAX_LINE_BYTES: Final = 4095


class Typed(NamedTuple):
    """What came of some keys."""

    read: bytes
    """What the program reads."""
    echo: bytes
    ended: bool = False
    """The end of input was typed."""
    interrupted: bool = False
    """Who types wants to be rid of it."""


class LineDiscipline:
    """One terminal: the line that is being typed."""

    def __init__(self) -> None:
        self._line = bytearray()

    def typed(self, keys: bytes) -> Typed:
        """Return what the program reads and the terminal shows."""
        read, echo = bytearray(), bytearray()
        for key in keys:
            if key == _INTERRUPT:
                return Typed(bytes(read), bytes(echo) + b"^C\r\n", interrupted=True)
            if key == _END and not self._line:
                return Typed(bytes(read), bytes(echo), ended=True)
            self._press(key, read, echo)
        return Typed(bytes(read), bytes(echo))

    def printed(self, output: bytes) -> bytes:
        """Return what the terminal shows of a program's output."""
        return output.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    def _press(self, key: int, read: bytearray, echo: bytearray) -> None:
        if key in _RETURN:
            self._hand_over(b"\n", read)
            echo += b"\r\n"
        elif key == _END:
            self._hand_over(b"", read)
        elif key in _ERASE:
            echo += self._rub_out(1)
        elif key == _KILL:
            echo += self._rub_out(len(self._line))
        elif len(self._line) < MAX_LINE_BYTES:
            self._line.append(key)
            echo.append(key)

    def _hand_over(self, end: bytes, read: bytearray) -> None:
        read += self._line + end
        self._line.clear()

    def _rub_out(self, count: int) -> bytes:
        """Take characters off the line; those of several bytes are one on the screen."""
        shown = 0
        for _ in range(min(count, len(self._line))):
            while self._line and _is_continuation(self._line[-1]):
                self._line.pop()
            if self._line:
                self._line.pop()
                shown += 1
        return _RUBBED_OUT * shown


def _is_continuation(byte: int) -> bool:
    """Say whether a byte of UTF-8 belongs to the one before it."""
    return byte & _HIGH_BITS == _CONTINUATION
