"""Who this executor is: a random id and a start count in the data directory, under a lock.

Together they are the incarnation. The lock proves that a lower count of the same id is dead, so
the count is on disk before anything is started. A full disk keeps no executor from starting again:
it is what makes room there.
"""

import errno
import fcntl
import os
from pathlib import Path

import msgspec

from wasm_executor.keeper.errors import DataDirectoryInUseError

LOCK_FILE = "keeper.lock"
IDENTITY_FILE = "identity.json"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    executor_id: str
    start_count: int


def lock_data_directory(directory: Path) -> int:
    """Take the lock; the descriptor holds it and must stay open and out of every child."""
    directory.mkdir(parents=True, exist_ok=True)
    fd = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise DataDirectoryInUseError(f"another executor runs in {directory}") from error
    return fd


def next_identity(directory: Path) -> Identity:
    """Raise the start count, or make a new id; on disk when this returns."""
    path = directory / IDENTITY_FILE
    try:
        last = msgspec.json.decode(path.read_bytes(), type=Identity)
    except FileNotFoundError:
        last = Identity(executor_id=os.urandom(16).hex(), start_count=0)
    identity = msgspec.structs.replace(last, start_count=last.start_count + 1)
    _write_durably(path, msgspec.json.encode(identity))
    return identity


def _write_durably(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".new")
    try:
        _write(temporary, content, os.O_CREAT | os.O_TRUNC)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        if not path.exists():
            raise
        # In place it needs no room, and a count is never shorter than the one before it.
        _write(path, content, 0)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _write(path: Path, content: bytes, flags: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o644)
    try:
        if os.write(descriptor, content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
