"""A disk with little room, and guests that take all of it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PAGE = b"x" * 4096


@contextmanager
def disk_of(folder: Path, size: str) -> Iterator[Path]:
    """Mount one on a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(disk: Path, but: int = 0) -> Iterator[None]:
    """Leave no room on it, but so much."""
    file = disk / "taken"
    with file.open("wb", buffering=0) as taking, suppress(OSError):
        while True:
            taking.write(PAGE)
    os.truncate(file, file.stat().st_size - but)
    try:
        yield
    finally:
        file.unlink()
