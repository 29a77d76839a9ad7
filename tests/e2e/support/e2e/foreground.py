"""`make cluster` and `make registry` in the foreground, each in a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def in_foreground(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m controlplane` with these words, as a terminal would run it; killed at the end."""
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-m", "controlplane", *words],
        cwd=folder,
        env=dict(os.environ) | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
