"""How much a folder holds that a guest may write, however the guest lays it out.

Nothing is followed, and each folder is reached from descriptor to descriptor: a guest can neither
hide bytes deeper than paths reach nor lead the walk elsewhere. The walk has an end: past so many
entries, or so deep, it is not complete, and says so.
"""

import os
import stat
from collections import deque
from contextlib import suppress
from typing import Final, NamedTuple

from wasm_executor.container.beneath import open_beneath, openable

MAX_ENTRIES: Final = 1_000_000
MAX_DEPTH: Final = 256
BLOCK_BYTES: Final = 512
"""The unit of st_blocks, whatever the file system's own is."""


class Usage(NamedTuple):
    """What was found: disk space, as `du` counts it; a file with two names counts once."""

    size_bytes: int
    complete: bool
    """False: there is more than was looked at."""


class _Tally:
    """What has been counted so far, and what is still to be looked at."""

    def __init__(self, most_entries: int) -> None:
        self.size_bytes = 0
        self.complete = True
        self.folders = deque([""])
        self.left = most_entries
        self._seen: set[tuple[int, int]] = set()

    def add(self, parent: str, entry: os.DirEntry[str]) -> bool:
        """Count one entry; False when there have been enough."""
        if self.left == 0:
            self.complete = False
            return False
        self.left -= 1
        with suppress(OSError):
            state = entry.stat(follow_symlinks=False)
            if self._is_first_sight(state):
                self.size_bytes += state.st_blocks * BLOCK_BYTES
            if stat.S_ISDIR(state.st_mode):
                self._queue(f"{parent}/{entry.name}")
        return True

    def _queue(self, folder: str) -> None:
        if folder.count("/") > MAX_DEPTH:
            self.complete = False
        else:
            self.folders.append(folder)

    def _is_first_sight(self, state: os.stat_result) -> bool:
        if stat.S_ISDIR(state.st_mode) or state.st_nlink == 1:
            return True
        before = len(self._seen)
        self._seen.add((state.st_dev, state.st_ino))
        return len(self._seen) > before


def measure(folder: str, most_entries: int = MAX_ENTRIES) -> Usage:
    """Blocks: some microseconds for each entry. What goes away meanwhile does not count."""
    tally = _Tally(most_entries)
    while tally.folders and tally.left > 0:
        with suppress(OSError):
            _count(folder, tally.folders.popleft(), tally)
    return Usage(tally.size_bytes, tally.complete)


def _count(root: str, folder: str, tally: _Tally) -> None:
    descriptor = open_beneath(root, (folder,))
    try:
        with os.scandir(openable(descriptor)) as entries:
            for entry in entries:
                if not tally.add(folder, entry):
                    return
    finally:
        os.close(descriptor)
