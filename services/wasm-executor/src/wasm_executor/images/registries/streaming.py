"""Bodies of answers: read as they come, hashed on the way, never longer than they may be."""

import hashlib
import time
from collections.abc import Iterator
from typing import BinaryIO, Final

import requests
import urllib3.exceptions

from wasm_executor.images.jobs import PullLimits
from wasm_executor.images.layers.manifest import MANIFEST_LIMIT_BYTES, Descriptor
from wasm_executor.images.registries.faults import broken_body
from wasm_executor.images.registries.transport import Deadline

_CHUNK: Final = 1 << 16
_DAMAGED: Final = "failed precondition (the registry's copy is damaged: push it again)"


class BodyError(Exception):
    """The body is not what was promised; asking again gives the same."""


class BrokenBodyError(BodyError):
    """The connection ended early; asking again may help."""


def read_manifest(response: requests.Response, limits: PullLimits, deadline: Deadline) -> bytes:
    content = bytearray()
    for chunk in _chunks(response, "manifest", limits, deadline):
        content += chunk
        if len(content) > MANIFEST_LIMIT_BYTES:
            raise BodyError(f"the manifest is larger than {MANIFEST_LIMIT_BYTES} bytes")
    return bytes(content)


class Body:
    """A blob on its way into a file. It may come in parts, over several connections."""

    def __init__(self, blob: Descriptor, file: BinaryIO) -> None:
        self.blob = blob
        self.size = 0
        self._file = file
        self._algorithm = blob.digest.split(":", 1)[0]
        self._hasher = hashlib.new(self._algorithm)

    def restart(self) -> None:
        """Forget what came: the registry sends it from the beginning."""
        self.size = 0
        self._hasher = hashlib.new(self._algorithm)
        self._file.seek(0)
        self._file.truncate()

    def receive(self, response: requests.Response, limits: PullLimits, deadline: Deadline) -> None:
        """Write what comes, and no more than the blob's size."""
        for chunk in _chunks(response, f"layer {self.blob.digest}", limits, deadline):
            self.size += len(chunk)
            if self.size > self.blob.size:
                raise BodyError(_wrong_size(self.blob, f"more than {self.blob.size}"))
            self._hasher.update(chunk)
            self._file.write(chunk)

    def verify(self) -> None:
        """Return only when size and digest are those of the manifest."""
        blob = self.blob
        if self.size != blob.size:
            raise BodyError(_wrong_size(blob, str(self.size)))
        found = f"{self._algorithm}:{self._hasher.hexdigest()}"
        if found != blob.digest:
            raise BodyError(wrong_digest(f"layer-{blob.digest}", found, blob.digest))


def wrong_digest(ref: str, found: str, expected: str) -> str:
    return (
        f'failed commit on ref "{ref}": unexpected commit digest {found}, '
        f"expected {expected}: {_DAMAGED}"
    )


def _wrong_size(layer: Descriptor, size: str) -> str:
    return (
        f'failed commit on ref "layer-{layer.digest}": unexpected commit size {size}, '
        f"expected {layer.size}: {_DAMAGED}"
    )


def _chunks(
    response: requests.Response, what: str, limits: PullLimits, deadline: Deadline
) -> Iterator[bytes]:
    """Yield what arrives. A registry that trickles counts as silent."""
    window_ends_at = time.monotonic() + limits.stall_timeout_s
    in_window = total = 0
    while chunk := _read_some(response, what, total, limits):
        total += len(chunk)
        in_window += len(chunk)
        yield chunk
        if deadline.left_s() <= 0:
            limit_s = limits.total_timeout_s
            raise BodyError(f"failed to copy: {what} is not complete after {limit_s:g}s")
        if time.monotonic() < window_ends_at:
            continue
        if in_window < limits.stall_bytes:
            raise BodyError(_stalled(what, total, limits))
        window_ends_at, in_window = time.monotonic() + limits.stall_timeout_s, 0


def _read_some(response: requests.Response, what: str, total: int, limits: PullLimits) -> bytes:
    try:
        return bytes(response.raw.read1(_CHUNK, decode_content=False))
    except (urllib3.exceptions.ReadTimeoutError, TimeoutError) as error:
        raise BodyError(_stalled(what, total, limits)) from error
    except (urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise BrokenBodyError(f"failed to copy: {broken_body(error)}") from error


def _stalled(what: str, total: int, limits: PullLimits) -> str:
    return f"failed to copy: {what}: no progress for {limits.stall_timeout_s:g}s at byte {total}"
