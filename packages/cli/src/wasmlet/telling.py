"""What is written for people: whole lines, at once, for as long as anybody is there to read them.

A terminal may be closed and a pipe's reader may end, such as the `tee` that the same Ctrl-C ends:
nodes and their services are to be stopped in order all the same, and go on if nobody stops them.
"""

import errno
import os
import sys
from typing import Final

_NOBODY_READS: Final = (errno.EPIPE, errno.EIO, errno.EBADF)
"""A pipe whose reader has ended, a terminal that is closed, no stdout at all."""


def say(line: str) -> None:
    """Write a line; where nobody can read it any more, drop it and all that follow.

    A line that cannot be written now, say to a disk that is full, ends nothing either.
    """
    # What a guest prints may be more than the terminal's encoding has.
    encoding = sys.stdout.encoding or "utf-8"
    text = line.encode(encoding, "backslashreplace").decode(encoding)
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        if error.errno in _NOBODY_READS:
            write_nowhere()


def one_line(text: str) -> str:
    """Return it in one line: what somebody else has answered may be a page, or rule a terminal."""
    line = " ".join(each.strip() for each in text.splitlines())
    return "".join(each if each.isprintable() else "?" for each in line)


def write_nowhere() -> None:
    """Lead stdout away: what Python holds back of it would fail once more at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
