"""One process at a time for each name: two pulls of one layer download it once.

The lock is a file's, so it goes with its process, however that ends. The file goes, too; who waited
for it sees that it is not the named one any more, and takes the next.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from wasm_executor.images.registries.transport import Deadline

_LOOK_AGAIN_S: Final = 0.05


class StillTakenError(Exception):
    """Another process has it for longer than there was time to wait."""


@contextmanager
def alone(path: Path, deadline: Deadline) -> Iterator[None]:
    """Wait for one's turn; the block has it alone. Raise `StillTakenError`, `OSError`."""
    descriptor = _taken(path, deadline)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _taken(path: Path, deadline: Deadline) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _wait(descriptor, deadline)
            with suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == path.stat().st_ino:
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _wait(descriptor: int, deadline: Deadline) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if deadline.left_s() <= _LOOK_AGAIN_S:
                raise StillTakenError from None
        time.sleep(_LOOK_AGAIN_S)
