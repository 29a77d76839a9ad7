"""What static pods print, shown on the terminal as it comes, from their log files."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from contract.staticstatus import StaticContainer, StaticPod

_CONTENT_FIELD: Final = 3
"""A line in CRI format: time, stream, tag, content."""


class OutputFollower:
    """Shows each new line of the pods' containers once, with the pod's name before it."""

    def __init__(self, logs: Path, writer: Callable[[str], Callable[[str], None]]) -> None:
        self._logs = logs
        self._writer = writer
        self._read: dict[Path, tuple[int, int]] = {}
        """Which file this was (its inode), and how much of it is shown."""
        self._unfinished: dict[Path, bytes] = {}
        self._partial: dict[Path, str] = {}

    def show(self, pods: tuple[StaticPod, ...]) -> None:
        """Show what has come since the last time."""
        for pod in pods:
            for container in pod.containers:
                self._show_container(pod, container)

    def _show_container(self, pod: StaticPod, container: StaticContainer) -> None:
        name = pod.name if len(pod.containers) == 1 else f"{pod.name}/{container.name}"
        folder = self._logs / "pods" / f"{pod.namespace}_{pod.name}_{pod.uid}" / container.name
        for file in sorted(folder.glob("*.log"), key=_run_number):
            with suppress(FileNotFoundError):  # the logs of older runs are removed meanwhile
                for line in self._new_lines(file):
                    self._writer(name)(line)

    def _new_lines(self, file: Path) -> list[str]:
        new = self._new_content(file)  # it may drop what is unfinished
        data = self._unfinished.pop(file, b"") + new
        # A line ends by a newline alone: what a guest prints may hold all else that ends lines.
        *whole, self._unfinished[file] = data.split(b"\n")
        return [
            text
            for raw in whole
            if (text := self._joined(file, raw.decode(errors="replace"))) is not None
        ]

    def _new_content(self, file: Path) -> bytes:
        """Read on where the last look ended; of a log that was rotated, the rest before the new."""
        before: bytes | None = b""
        with file.open("rb") as source:
            found, size = os.fstat(source.fileno()).st_ino, source.seek(0, os.SEEK_END)
            known, offset = self._read.get(file, (found, 0))
            if known != found:
                before = _rest_of_rotated(file, known, offset)
            elif offset > size:  # cut off in its place
                before = None
            if before is None:
                self._unfinished.pop(file, None)
                self._partial.pop(file, None)
            source.seek(offset if known == found and offset <= size else 0)
            data = source.read()
            self._read[file] = found, source.tell()
        return (before or b"") + data

    def _joined(self, file: Path, raw: str) -> str | None:
        """Return a whole line, joined from its parts; None while parts are missing."""
        _, _, tag, content = raw.split(" ", _CONTENT_FIELD)
        text = self._partial.pop(file, "") + content
        if tag.startswith("P"):
            self._partial[file] = text
            return None
        return text


def _rest_of_rotated(file: Path, inode: int, offset: int) -> bytes | None:
    """What was not read yet of a log that has another name now; None if it is removed already."""
    for rotated in file.parent.glob(f"{file.name}.*"):
        if rotated.stat().st_ino == inode:
            with rotated.open("rb") as source:
                source.seek(offset)
                return source.read()
    return None


def _run_number(file: Path) -> int:
    return int(file.stem) if file.stem.isdigit() else -1
