"""Reading a run's log files, which rotate by rename while they are read.

A place in them is an inode and an offset: a rename keeps the inode, so a reader finishes the file
that he is in and goes on with the next newer one. The inode of a file that was removed may be given
to a new one, so a place has the mark of its file too: when its first line was written.
"""

import os
import re
import zlib
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from wasm_executor.keeper.logfile import rotated_files, timestamp

BLOCK_BYTES: Final = 64 * 1024
_TIME_BYTES: Final = len(timestamp(0))
_OF_A_RUN: Final = re.compile(r"(\d+)\.log(?:\..+)?")


UNMARKED: Final = -1
"""The mark of a place that a release gave away which knew none: any file of the inode has it."""


class Place(NamedTuple):
    """Where reading goes on. Inode 0 stands before the oldest file."""

    inode: int
    offset: int
    mark: int = UNMARKED


START: Final = Place(0, 0, 0)


class Part(NamedTuple):
    """Whole lines, and the place behind them."""

    data: bytes
    place: Place


def kept_runs(folder: Path) -> list[int]:
    """Return the runs of a container that left files, in their order. Blocks."""
    return sorted(_files_by_run(folder))


def drop_runs_before(folder: Path, first_kept: int, *, but: Collection[int]) -> None:
    """Remove the files of a container's older runs, rotated ones too. Blocks.

    What cannot be removed stays, and is tried again with the next run.
    """
    for run, files in _files_by_run(folder).items():
        if run < first_kept and run not in but:
            for file in files:
                with suppress(OSError):
                    file.unlink()


def _files_by_run(folder: Path) -> dict[int, list[Path]]:
    found: dict[int, list[Path]] = {}
    with suppress(OSError):
        for path in folder.iterdir():
            if match := _OF_A_RUN.fullmatch(path.name):
                found.setdefault(int(match[1]), []).append(path)
    return found


def has_begun(log: Path) -> bool:
    """Say whether a run has a log. In the midst of a rotation all of it has other names. Blocks."""
    return log.exists() or bool(rotated_files(log))


def _files(log: Path) -> list[Path]:
    """Return a run's files, oldest first."""
    return [*rotated_files(log), log]


def _open_all(log: Path) -> list[int]:
    """Open a run's files, oldest first. One that a rotation takes away meanwhile is left out."""
    descriptors: list[int] = []
    seen: set[int] = set()
    for path in _files(log):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        inode = os.fstat(descriptor).st_ino
        if inode in seen:
            os.close(descriptor)
            continue
        seen.add(inode)
        descriptors.append(descriptor)
    return descriptors


def read_on(log: Path, place: Place, max_bytes: int) -> Part:
    """Return the next whole lines; no data where there are none yet.

    A log is read in many turns, and few of them cross from one file to the next: what is asked
    first is whether this one does.
    """
    with suppress(OSError):
        part = _read_newest(log, place, max_bytes) or _read_rotated(log, place, max_bytes)
        if part is not None:
            return part
    return _read_anywhere(log, place, max_bytes)


def _read_newest(log: Path, place: Place, max_bytes: int) -> Part | None:
    """Return what follows in the file that is written; None: the place is in another one."""
    return _read_if(os.open(log, os.O_RDONLY | os.O_CLOEXEC), place, max_bytes)


def _read_rotated(log: Path, place: Place, max_bytes: int) -> Part | None:
    """Return what follows in the rotated file of this place; None: nothing, or it is gone."""
    with os.scandir(log.parent) as entries:
        found = (each for each in entries if each.inode() == place.inode)
        path = next((each.path for each in found if each.name.startswith(log.name)), None)
    if path is None:
        return None
    part = _read_if(os.open(path, os.O_RDONLY | os.O_CLOEXEC), place, max_bytes)
    return part if part is not None and part.data else None


def _read_if(descriptor: int, place: Place, max_bytes: int) -> Part | None:
    """Read from this file, which is closed, if it is the one of the place."""
    try:
        if not _is_file_of(place, descriptor):
            return None
        lines = _whole_lines(os.pread(descriptor, max_bytes, place.offset))
    finally:
        os.close(descriptor)
    return Part(lines, place._replace(offset=place.offset + len(lines)))


def _read_anywhere(log: Path, place: Place, max_bytes: int) -> Part:
    """Read on behind the place, from the oldest file where its own is gone.

    Where there is nothing the place stays as it is: an empty file has no mark yet.
    """
    descriptors = _open_all(log)
    try:
        own = [number for number, each in enumerate(descriptors) if _is_file_of(place, each)]
        at, offset = (own[0], place.offset) if own else (0, 0)
        for descriptor in descriptors[at:]:
            lines = _whole_lines(os.pread(descriptor, max_bytes, offset))
            if lines:
                return Part(lines, _place_in(descriptor, offset + len(lines)))
            offset = 0
        return Part(b"", place)
    finally:
        for each in descriptors:
            os.close(each)


def _place_in(descriptor: int, offset: int) -> Place:
    mark = zlib.crc32(os.pread(descriptor, _TIME_BYTES, 0))
    return Place(os.fstat(descriptor).st_ino, offset, mark)


def _is_file_of(place: Place, descriptor: int) -> bool:
    found = _place_in(descriptor, place.offset)
    return found._replace(mark=UNMARKED) == place if place.mark == UNMARKED else found == place


def _whole_lines(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def place_of_tail(log: Path, lines: int) -> Place:
    """Return where the last lines begin, found from the end. Blocks: call it in a thread."""
    descriptors = _open_all(log)
    try:
        place = START
        for descriptor in reversed(descriptors):
            if os.fstat(descriptor).st_size == 0:
                continue  # as good as the end of the one before, which has a mark
            found, lines = _tail_of(descriptor, lines)
            place = _place_in(descriptor, found)
            if lines <= 0:
                break
        return place
    finally:
        for each in descriptors:
            os.close(each)


def _tail_of(descriptor: int, wanted: int) -> tuple[int, int]:
    """Return the offset where the last `wanted` lines begin, and how many are still missing."""
    size = end = os.fstat(descriptor).st_size
    if wanted == 0:
        return size, 0
    while end > 0:
        begin = max(0, end - BLOCK_BYTES)
        block = os.pread(descriptor, end - begin, begin)
        # The line end at the very end of the file closes the last line, it begins none.
        closes_last = end == size and block.endswith(b"\n")
        starts = block.count(b"\n") - closes_last
        if starts >= wanted:
            cut = len(block) - closes_last
            for _ in range(wanted):
                cut = block.rfind(b"\n", 0, cut)
            return begin + cut + 1, 0
        wanted -= starts
        end = begin
    # The first line begins with the file.
    return 0, wanted - (size > 0)
