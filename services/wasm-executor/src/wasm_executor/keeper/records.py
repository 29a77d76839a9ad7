"""What the next keeper must know of this one's containers: a file for each, on tmpfs.

A record is there before its guest runs and goes when the supervisor has forgotten the container.
A pid alone would lie after reuse, so it comes with the process's start time.
"""

import os
import select
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from wasm_executor.container.plan import Outcome, outcome_decoder
from wasm_executor.keeper.events import warn
from wasm_executor.keeper.protocol import ContainerProcess, Exit

KILLED: Final = 128 + signal.SIGKILL
DEATH_TIMEOUT_MS: Final = 10_000
_START_TIME_FIELD: Final = 19
"""Of /proc/pid/stat, counted after the command's closing bracket."""
_STAT_BYTES: Final = 4096
"""More than 52 numbers have."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    process: ContainerProcess
    start_ticks: int


class Records:
    """The folder of records and outcome files in the run directory."""

    def __init__(self, run_directory: Path) -> None:
        self._records = run_directory / "containers"
        self._outcomes = run_directory / "outcomes"
        for folder in (self._records, self._outcomes):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def save(self, process: ContainerProcess, start_ticks: int = 0) -> None:
        """Write or replace the container's record, whole or not at all."""
        path = f"{self._records}/{_file_name(process.key)}"
        temporary = f"{path}.new"
        record = Record(process=process, start_ticks=start_ticks)
        try:
            _write(temporary, msgspec.json.encode(record))
            os.rename(temporary, path)  # noqa: PTH104 - on the way of every start; no Path is made
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise

    def save_end(self, process: ContainerProcess) -> None:
        """For the next keeper, which would say 137 otherwise; this one tells it in any case."""
        try:
            self.save(process)
        except OSError as error:
            warn("record.write_failed", key=process.key, error=str(error))

    def remove(self, key: str) -> None:
        for folder in (self._records, self._outcomes):
            (folder / _file_name(key)).unlink(missing_ok=True)

    def open_outcome(self, key: str) -> int:
        """Return a descriptor on an empty file for what an exit code cannot say."""
        path = f"{self._outcomes}/{_file_name(key)}"
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def outcome(self, key: str) -> Outcome:
        """Return what the exit code cannot say; nothing where it cannot be read: the end counts."""
        try:
            return outcome_decoder.decode((self._outcomes / _file_name(key)).read_bytes())
        except msgspec.DecodeError:
            pass  # empty, or written in part by a process that was killed
        except OSError as error:
            warn("outcome.read_failed", key=key, error=str(error))
        return Outcome()

    def bury(self) -> list[ContainerProcess]:
        """Kill what a dead keeper left alive; return its table, everything in it ended."""
        records = [
            msgspec.json.decode(path.read_bytes(), type=Record)
            for path in sorted(self._records.iterdir())
            if path.suffix != ".new"
        ]
        for record in records:
            if record.process.exit is None:
                kill_and_wait(record.process.pid, record.start_ticks)
        ended = [_ended(record.process) for record in records]
        for process in ended:
            self.save_end(process)
        return ended


def start_ticks(pid: int) -> int | None:
    """When the process started, in the kernel's ticks; None if there is none."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        stat = os.read(descriptor, _STAT_BYTES)
    except ProcessLookupError:
        return None
    finally:
        os.close(descriptor)
    return int(stat.rpartition(b")")[2].split()[_START_TIME_FIELD])


def kill_and_wait(pid: int, started: int) -> None:
    """Kill exactly this process, not a later one with its pid, and see it end."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if start_ticks(pid) == started:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            ending = select.poll()
            ending.register(process, select.POLLIN)
            ending.poll(DEATH_TIMEOUT_MS)
    except ProcessLookupError:
        pass
    finally:
        os.close(process)


def _ended(process: ContainerProcess) -> ContainerProcess:
    if process.exit is not None:
        return process
    killed = Exit(
        key=process.key,
        code=KILLED,
        signal=signal.SIGKILL,
        at=datetime.now(UTC),
        started_at=process.started_at,
    )
    return msgspec.structs.replace(process, exit=killed)


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        # A file system that is nearly full takes a part and says so only at the next write.
        while content:
            content = content[os.write(descriptor, content) :]
    finally:
        os.close(descriptor)


def _file_name(key: str) -> str:
    return key.replace("/", "_") + ".json"
