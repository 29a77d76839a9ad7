"""Pull one image: `python -m wasm_executor.images.pull_job`, a PullJob on stdin.

A process of its own, because a blocked library cannot be cancelled but a process can be killed,
and because what parses a registry's answers should hold no other pod's secrets.
"""

import time
from pathlib import Path
from typing import Final

import msgspec

from wasm_executor.images.errors import ImageAccessError, ImageError
from wasm_executor.images.jobprocess import (
    failure_of,
    leave,
    limit_memory,
    read_job,
    take_stdout,
    tie_to_parent,
    write_result,
)
from wasm_executor.images.jobs import JobResult, Pulled, PullJob
from wasm_executor.images.policy import ERR_IMAGE_PULL, pull_failed
from wasm_executor.images.reference import parse_reference
from wasm_executor.images.store import ContentStore

_MEMORY_BYTES: Final = 320 << 20
"""A layer that is packed with zstd may ask for 128 MiB."""


def run(job: PullJob) -> JobResult:
    from wasm_executor.images.registries.registryhosts import RegistryHostsError

    try:
        return _pull(job)
    except RegistryHostsError as error:
        return failure_of(pull_failed(job.reference, f"failed to load hosts config: {error}"))
    except ImageError as error:
        return failure_of(error)


def _pull(job: PullJob) -> Pulled:
    """Try each of the credentials, as long as it is they that are not good enough."""
    from wasm_executor.images.fetching import Pull

    reference, store = parse_reference(job.reference), ContentStore(Path(job.store))
    if not job.credentials:
        try:
            return Pull(job, reference, store).run()
        except ImageAccessError as error:
            raise _advised(error, "no image pull secret of the pod is for this registry") from error
    ends_at = time.monotonic() + job.limits.total_timeout_s
    refusals: list[str] = []
    for used, credentials in enumerate(job.credentials):
        left_s = max(ends_at - time.monotonic(), 0.001)
        limits = msgspec.structs.replace(job.limits, total_timeout_s=left_s)
        one = msgspec.structs.replace(job, credentials=(credentials,), limits=limits)
        try:
            return msgspec.structs.replace(Pull(one, reference, store).run(), used=used)
        except ImageAccessError as error:
            refusals.append(error.message)
    told = list(dict.fromkeys(refusals))
    message = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    refused = ImageAccessError(ERR_IMAGE_PULL, message)
    raise _advised(refused, "the registry does not accept the pod's image pull secrets for it")


def _advised(error: ImageAccessError, advice: str) -> ImageAccessError:
    """What is not there is not opened by a secret; some registries say so of what is hidden."""
    if error.message.endswith("not found"):
        return error
    return ImageAccessError(error.reason, f"{error.message} ({advice})")


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
