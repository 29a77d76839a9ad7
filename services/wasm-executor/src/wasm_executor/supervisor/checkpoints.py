"""The checkpoint on disk: an append-only file of pod records, the last one of a pod counts.

One write per change and no sync on the way of a pod: the page cache survives every death but the
machine's, and a task syncs in the background. A line that a power cut tore is the last one and is
ignored. The file is rewritten when most of it is history.
"""

import asyncio
import os
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
        self.records = _load(self._path)
        self._lines = 0
        self._dirty = False
        self._descriptor = -1
        self._separator = b""
        self._rewrite()

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
        while True:
            await asyncio.sleep(interval_s)
            if self._dirty:
                self._dirty = False
                # A rewrite may close ours meanwhile.
                descriptor = os.dup(self._descriptor)
                try:
                    await asyncio.to_thread(os.fdatasync, descriptor)
                finally:
                    os.close(descriptor)

    def _append(self, line: Line) -> None:
        """A full disk costs the checkpoint, never a pod: what is in memory stays right."""
        content = self._separator + _encoder.encode(line) + b"\n"
        try:
            written = os.write(self._descriptor, content)
        except OSError as error:
            log.warning("checkpoint.write_failed", reason=str(error))
            return
        # The next line must not grow out of a part of this one.
        self._separator = b"" if written == len(content) else b"\n"
        self._dirty = True
        self._lines += 1
        if self._lines > 4 * len(self.records) + SPARE_LINES:
            self._rewrite()

    def _rewrite(self) -> None:
        temporary = self._path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        with open(descriptor, "wb", closefd=False) as file:
            file.writelines(
                _encoder.encode(Line(uid=uid, record=record)) + b"\n"
                for uid, record in self.records.items()
            )
            file.flush()
        os.fsync(descriptor)
        temporary.rename(self._path)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        self._lines = len(self.records)


def _load(path: Path) -> dict[PodUid, PodRecord]:
    records: dict[PodUid, PodRecord] = {}
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return records
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
