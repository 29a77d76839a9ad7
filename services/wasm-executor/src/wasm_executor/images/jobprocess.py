"""The inside of a job process: tied to its owner, limited, one JSON text in and one out.

Whatever a library prints goes to stderr, so that stdout holds the answer alone.
"""

import ctypes
import os
import resource
import signal
import sys
from typing import Final, NoReturn

import msgspec

from wasm_executor.images.errors import ImageError
from wasm_executor.images.jobs import JOB_DECODER, Job, JobFailed, JobResult

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_CPU_GRACE_S: Final = 5


def read_job() -> Job:
    return JOB_DECODER.decode(sys.stdin.buffer.read())


def write_result(result: JobResult, stdout: int) -> None:
    with os.fdopen(stdout, "wb") as file:
        file.write(msgspec.json.encode(result))


def failure_of(error: ImageError) -> JobFailed:
    return JobFailed(reason=error.reason, message=error.message, retry=error.retry)


def take_stdout() -> int:
    """Return a descriptor for the answer; from now on prints go to stderr."""
    answer = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answer


def tie_to_parent(parent_pid: int) -> None:
    """End with the owner; and at once when it has ended before we could ask for that."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.getppid() != parent_pid:
        leave(1)


def limit_memory(data_bytes: int) -> None:
    """`data_bytes` bounds what is really used; address space gets room for reservations."""
    _lower(resource.RLIMIT_DATA, data_bytes)
    _lower(resource.RLIMIT_AS, 2 * data_bytes + (1 << 30))


def limit_cpu(seconds: int) -> None:
    """SIGXCPU names the cause; the hard limit behind it is for a process that ignores it."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + _CPU_GRACE_S))


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(limit, (value, value))


def leave(code: int) -> NoReturn:
    """Skip the interpreter's tear-down: there is nothing to save."""
    sys.stderr.flush()
    os._exit(code)
