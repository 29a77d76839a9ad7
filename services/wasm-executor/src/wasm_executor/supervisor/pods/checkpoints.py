"""The checkpoint on disk: an append-only file of pod records, the last one of a pod counts.

One write per change and no sync on the way of a pod: the page cache survives every death but the
machine's, and a task syncs in the background. A line that a power cut tore is the last one and is
ignored. The file is rewritten in the background when most of it is history.

A full disk costs the checkpoint, never a pod: to go on with a file needs no room, what is in memory
stays right, and what the file lacks is in it once there is room.
"""

import asyncio
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
import structlog

from contract.ids import PodUid
from wasm_executor.domain.checkpoint import PodRecord

log = structlog.get_logger()

SPARE_LINES: Final = 1000
"""History that is not worth a rewrite."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change: a pod's record, or that the pod is forgotten."""

    uid: PodUid
    record: PodRecord | None = None


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Line)


class Checkpoint:
    """`checkpoint.jsonl` in the data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "checkpoint.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
        content = self._path.read_bytes()
        self.records = _load(content)
        self._lines = content.count(b"\n")
        # The next line must not grow out of a part of the last one.
        self._separator = b"\n" if content and not content.endswith(b"\n") else b""
        self._dirty = False
        self._stale = self._lines > len(self.records)
        """To be rewritten: it has history, or may lack something."""

    def keep(self, record: PodRecord) -> None:
        """Write a record down, if it says anything new."""
        if self.records.get(record.uid) == record:
            return
        self.records[record.uid] = record
        self._append(Line(uid=record.uid, record=record))

    def drop(self, uid: PodUid) -> None:
        if self.records.pop(uid, None) is not None:
            self._append(Line(uid=uid))

    async def sync_from_time_to_time(self, interval_s: float) -> None:
        """Bring to disk what a power cut may not cost. Runs until cancelled."""
        told = ""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.sync()
            except (OSError, RuntimeError) as error:  # the latter where no thread can be had
                if str(error) != told:
                    log.warning("checkpoint.not_synced", reason=str(error))
                told = str(error)
            else:
                told = ""

    async def sync(self) -> None:
        """Bring to disk what is new; raise `OSError` where it cannot be yet. One at a time."""
        if self._dirty:
            self._dirty = False
            try:
                await asyncio.to_thread(os.fdatasync, self._descriptor)
            except (OSError, RuntimeError):
                self._stale = True  # what this one did not write, another would leave out
                raise
        if self._stale or self._lines > 4 * len(self.records) + SPARE_LINES:
            await self._rewrite()

    def _append(self, line: Line) -> None:
        content = self._separator + _encoded(line)
        try:
            written = os.write(self._descriptor, content)
        except OSError as error:
            log.warning("checkpoint.write_failed", reason=str(error))
            self._stale = True
            return
        self._stale |= written < len(content)
        self._separator = b"" if written == len(content) else b"\n"
        self._dirty = True
        self._lines += 1

    async def _rewrite(self) -> None:
        """Go on in a new file that has no history, or in the old one where that cannot be."""
        known, self._stale = dict(self.records), False
        lines = [Line(uid=uid, record=record) for uid, record in known.items()]
        temporary = self._path.with_suffix(".new")
        with ExitStack() as undo:
            undo.callback(setattr, self, "_stale", True)
            undo.callback(temporary.unlink, missing_ok=True)
            descriptor = await asyncio.to_thread(_write_anew, temporary, lines)
            undo.callback(os.close, descriptor)
            since = list(_changes(known, self.records))
            _write_whole(descriptor, since)
            temporary.rename(self._path)
            undo.pop_all()
        os.close(self._descriptor)
        self._descriptor, self._separator = descriptor, b""
        self._lines, self._dirty = len(lines) + len(since), bool(since)


def _encoded(line: Line) -> bytes:
    return _encoder.encode(line) + b"\n"


def _changes(before: dict[PodUid, PodRecord], after: dict[PodUid, PodRecord]) -> Iterator[Line]:
    for uid, record in after.items():
        if before.get(uid) is not record:
            yield Line(uid=uid, record=record)
    for uid in before.keys() - after.keys():
        yield Line(uid=uid)


def _write_anew(path: Path, lines: Iterable[Line]) -> int:
    """Return a descriptor of a new file that has these lines, on disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        _write_whole(descriptor, lines)
        os.fsync(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _write_whole(descriptor: int, lines: Iterable[Line]) -> None:
    content = b"".join(map(_encoded, lines))
    if os.write(descriptor, content) < len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _load(content: bytes) -> dict[PodUid, PodRecord]:
    records: dict[PodUid, PodRecord] = {}
    for number, encoded in enumerate(content.splitlines(), start=1):
        try:
            line = _decoder.decode(encoded)
        except msgspec.MsgspecError as error:
            log.warning("checkpoint.line_unreadable", line=number, reason=str(error))
            continue
        if line.record is None:
            records.pop(line.uid, None)
        else:
            records[line.uid] = line.record
    return records
