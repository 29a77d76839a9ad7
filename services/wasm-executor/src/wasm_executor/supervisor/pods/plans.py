"""The plans in force, on tmpfs, so that a restarted supervisor goes on without the bus.

A file per pod, readable by nobody else, replaced whole or not at all: where there is no room for a
plan, the one before it stays. No fsync: what is on tmpfs is gone with the machine, and then the
reconciler sends it again.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import structlog

from contract.ids import PodUid
from contract.messages.form import Incarnation, Term
from contract.messages.pod import PodPlan
from wasm_executor.domain.ordering import Rank
from wasm_executor.errors import PlanNotStoredError, RunDirectoryOnDiskError

log = structlog.get_logger()

MEMORY_FILE_SYSTEMS: Final = frozenset({"tmpfs", "ramfs"})


class StoredPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan with its place among all plans of its pod."""

    rank: Rank
    digest: str
    plan: PodPlan


class ShutdownNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The node shuts down, as long as this life of the executor lasts."""

    life: Incarnation
    until: float
    """On the monotonic clock, which all processes of one boot share: the end of all pods."""


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What this executor knows of its node beside the plans."""

    granted: Incarnation | None = None
    """The incarnation of ours that last held the node."""
    term: Term | None = None
    """The highest that has spoken."""
    shutdown: ShutdownNotice | None = None


_encoder: Final = msgspec.msgpack.Encoder()
_plan_decoder: Final = msgspec.msgpack.Decoder(StoredPlan)
_standing_decoder: Final = msgspec.msgpack.Decoder(Standing)


class PlanStore:
    """The folder `plans` of the run directory, and the file `standing` beside it."""

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / "plans"
        self._standing = run_dir / "standing"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def save(self, stored: StoredPlan) -> None:
        """Raise `PlanNotStoredError` where it does not fit; then nothing has changed."""
        _replace(self._folder / stored.plan.uid, _encoder.encode(stored))

    def drop(self, uid: PodUid) -> None:
        (self._folder / uid).unlink(missing_ok=True)

    def load(self) -> Iterator[StoredPlan]:
        for path in sorted(self._folder.iterdir()):
            if path.suffix:
                path.unlink()  # a supervisor died while it wrote
                continue
            try:
                yield _plan_decoder.decode(path.read_bytes())
            except OSError as error:
                log.warning("plan.unreadable", pod_uid=path.name, reason=str(error))
            except msgspec.MsgspecError as error:
                log.warning("plan.unreadable", pod_uid=path.name, reason=str(error))
                path.unlink()

    def save_standing(self, standing: Standing) -> None:
        _replace(self._standing, _encoder.encode(standing))

    def load_standing(self) -> Standing:
        try:
            return _standing_decoder.decode(self._standing.read_bytes())
        except (OSError, msgspec.MsgspecError):
            return Standing()


def _replace(path: Path, content: bytes) -> None:
    temporary = f"{path}.new"
    try:
        _write_whole(temporary, content)
        os.rename(temporary, path)  # noqa: PTH104 - on the way of every pod; no Path is made for it
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise PlanNotStoredError(error.strerror or str(error)) from error


def _write_whole(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        # A file system that is nearly full takes a part and says so only at the next write.
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def require_memory(run_dir: Path) -> None:
    """Raise where secrets would reach a disk."""
    if file_system_of(run_dir) not in MEMORY_FILE_SYSTEMS:
        raise RunDirectoryOnDiskError(str(run_dir))


def file_system_of(folder: Path) -> str:
    """Return the type of the file system that holds a folder, from the mount table."""
    resolved = folder.resolve()
    best, kind = -1, ""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, _, rest = line.partition(" - ")
        mount = Path(fields.split()[4].encode().decode("unicode_escape"))
        if resolved.is_relative_to(mount) and len(mount.parts) >= best:
            best, kind = len(mount.parts), rest.split()[0]
    return kind
