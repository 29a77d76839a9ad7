"""The outside of a job process: started, fed, timed, and gone when this call has ended.

However the call ends, by result, time-out or cancellation, the process is dead afterwards and
what it had half written is out of the way; its removal is not waited for. It dies with this
process, too: it asks the kernel for that.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Final

import msgspec

from wasm_executor.images.jobs import RESULT_DECODER, Job, JobResult
from wasm_executor.images.store import ContentStore
from wasm_executor.volumes.removing import begin_at_leisure

PULL: Final = "wasm_executor.images.pull_job"
COMPILE: Final = "wasm_executor.images.compile_job"

_ENVIRONMENT: Final = {"LANG": "C.UTF-8", "HOME": "/nonexistent"}
"""Nothing of ours: no proxy, no credential file, no library path."""
_SHOWN: Final = 500


class JobCrashedError(Exception):
    """A job ended without an answer. `signal` is None where it left by itself."""

    def __init__(self, signal_number: int | None, stderr: bytes) -> None:
        self.signal = signal_number
        self.stderr = stderr.decode(errors="replace").strip()
        lines = [line for line in self.stderr.splitlines() if not line.startswith("note: ")]
        self.last_line = lines[-1][:_SHOWN] if lines else "it printed nothing"
        super().__init__(f"signal {signal_number}: {self.last_line}")


class JobTimedOutError(Exception):
    """A job was killed because it took too long."""


class JobRunner:
    """Runs jobs for one store."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    async def run(self, module: str, job: Job, *, timeout_s: float) -> JobResult:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd=Path("/"),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(timeout_s):
                stdout, stderr = await process.communicate(msgspec.json.encode(job))
        except TimeoutError as error:
            raise JobTimedOutError from error
        finally:
            await self._end(process)
        if process.returncode != 0:
            code = process.returncode or 0
            raise JobCrashedError(-code if code < 0 else None, stderr)
        return _decode(stdout, stderr)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if process.returncode and (taken := self._store.take_partials_of(process.pid)):
            begin_at_leisure(self._store.remove_taken, taken)


def own_pid() -> int:
    """What a job compares its parent with."""
    return os.getpid()


def signal_name(number: int) -> str:
    return signal.Signals(number).name


def _decode(stdout: bytes, stderr: bytes) -> JobResult:
    try:
        return RESULT_DECODER.decode(stdout)
    except msgspec.DecodeError as error:
        raise JobCrashedError(None, stderr) from error
