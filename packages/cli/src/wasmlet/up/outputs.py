"""What static pods print, shown on the terminal as it comes, from their log files."""

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
        self._offsets: dict[Path, int] = {}
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
        with file.open("rb") as source:
            size = source.seek(0, 2)
            # A file that has shrunk is a new one: the log was rotated.
            start = self._offsets.get(file, 0)
            source.seek(start if start <= size else 0)
            data = source.read()
            whole = data.rfind(b"\n") + 1
            self._offsets[file] = source.tell() - len(data) + whole
        return [
            text
            # A line ends by a newline alone: what a guest prints may hold all else that ends lines.
            for raw in data[:whole].split(b"\n")[:-1]
            if (text := self._joined(file, raw.decode(errors="replace"))) is not None
        ]

    def _joined(self, file: Path, raw: str) -> str | None:
        """Return a whole line, joined from its parts; None while parts are missing."""
        _, _, tag, content = raw.split(" ", _CONTENT_FIELD)
        text = self._partial.pop(file, "") + content
        if tag.startswith("P"):
            self._partial[file] = text
            return None
        return text


def _run_number(file: Path) -> int:
    return int(file.stem) if file.stem.isdigit() else -1
