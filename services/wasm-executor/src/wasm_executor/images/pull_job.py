"""Pull one image: `python -m wasm_executor.images.pull_job`, a PullJob on stdin.

A process of its own, because a blocked library cannot be cancelled but a process can be killed,
and because what parses a registry's answers should hold no other pod's secrets.
"""

from pathlib import Path
from typing import Final

from wasm_executor.images.errors import ImageError
from wasm_executor.images.jobprocess import (
    failure_of,
    leave,
    limit_memory,
    read_job,
    take_stdout,
    tie_to_parent,
    write_result,
)
from wasm_executor.images.jobs import JobResult, PullJob
from wasm_executor.images.policy import pull_failed
from wasm_executor.images.reference import parse_reference
from wasm_executor.images.store import ContentStore

_MEMORY_BYTES: Final = 320 << 20
"""A layer that is packed with zstd may ask for 128 MiB."""


def run(job: PullJob) -> JobResult:
    from wasm_executor.images.fetching import Pull
    from wasm_executor.images.registryhosts import RegistryHostsError

    try:
        return Pull(job, parse_reference(job.reference), ContentStore(Path(job.store))).run()
    except RegistryHostsError as error:
        return failure_of(pull_failed(job.reference, f"failed to load hosts config: {error}"))
    except ImageError as error:
        return failure_of(error)


def main() -> None:
    stdout = take_stdout()
    job = read_job()
    tie_to_parent(job.parent_pid)
    if not isinstance(job, PullJob):
        leave(2)
    limit_memory(_MEMORY_BYTES)
    write_result(run(job), stdout)
    leave(0)


if __name__ == "__main__":
    main()
