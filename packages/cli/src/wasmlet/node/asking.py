"""Read a long secret word from stdin: from a pipe as it comes, from a terminal unseen and whole.

A terminal that gathers lines itself keeps 4095 characters of one and drops the rest, and a word
with the certificates of a cluster may have more.
"""

import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

_END: Final = ("", "\n", "\r", "\x04")
_ERASE: Final = ("\x08", "\x7f")
_LOCAL_FLAGS: Final = 3


def word_from(stdin: TextIO) -> str:
    """Return one line."""
    if not stdin.isatty():
        return stdin.readline()
    sys.stderr.write("The word (it is not shown): ")
    sys.stderr.flush()
    try:
        with _unseen(stdin):
            return _line(stdin)
    finally:
        sys.stderr.write("\n")


@contextmanager
def _unseen(stdin: TextIO) -> Iterator[None]:
    """Let the terminal pass on each character at once and show none; Ctrl-C works as ever."""
    before = termios.tcgetattr(stdin)
    within = list(before)
    within[_LOCAL_FLAGS] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(stdin, termios.TCSADRAIN, within)
    try:
        yield
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)


def _line(stdin: TextIO) -> str:
    read: list[str] = []
    while (character := stdin.read(1)) not in _END:
        if character not in _ERASE:
            read.append(character)
        elif read:
            read.pop()
    return "".join(read)
