"""Whose a run folder is: that of the `up` which holds the lock in it, and nobody's once it is dead.

A lock goes with its process, however that ends, so the next `up` finds what a killed one
left. What has no such lock is left alone: nobody can tell whether it is in use.
"""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

LOCK: Final = "up.lock"
TEMPORARY_PREFIX: Final = "wasmlet-"
_ANY_NAME: Final = "surrogateescape"


@contextmanager
def owned(run: Path, temporary_data: Path | None) -> Iterator[None]:
    """Hold a run folder; `temporary_data` is the data folder, if it is to go with this `up`.

    Raises `OSError`.
    """
    with (run / LOCK).open("a+", errors=_ANY_NAME) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Only now: before it is locked, who sweeps finds no data here and lets it be.
        lock.truncate(0)
        lock.write(str(temporary_data or ""))
        lock.flush()
        yield


def sweep(runs: Iterable[Path]) -> None:
    """Remove those of these folders whose `up` is dead and had temporary data, with that data.

    Where the data lasts, the next `up` of it goes on with the plans in its run folder.
    """
    for run in runs:
        with suppress(OSError):
            _sweep(run)


def _sweep(run: Path) -> None:
    if not _is_own_folder(run):
        return
    with (run / LOCK).open(errors=_ANY_NAME) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not (told := lock.read()):
            return
        data = Path(told)
        if data.name.startswith(TEMPORARY_PREFIX) and _is_own_folder(data):
            shutil.rmtree(data, ignore_errors=True)
        shutil.rmtree(run, ignore_errors=True)


def _is_own_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and path.lstat().st_uid == os.getuid()
