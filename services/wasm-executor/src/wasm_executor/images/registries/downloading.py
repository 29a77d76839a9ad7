"""Blobs: one file each, resumed where a connection broke, kept only when it is what it should be.

A blob of many gigabytes over a bad line is no reason to begin anew: the rest is asked for. Only
tries that bring nothing are counted, and all of them share the time of the whole pull.
"""

import errno
import os
import time
from typing import Final

import requests

from wasm_executor.images.errors import ImagePullError
from wasm_executor.images.jobs import PullLimits
from wasm_executor.images.layers.manifest import Descriptor
from wasm_executor.images.policy import pull_failed, registry_unavailable
from wasm_executor.images.registries import faults
from wasm_executor.images.registries.oneatatime import StillTakenError, alone
from wasm_executor.images.registries.registry import PullRegistry
from wasm_executor.images.registries.streaming import Body, BodyError, BrokenBodyError
from wasm_executor.images.registries.transport import BUSY, Deadline
from wasm_executor.images.store import ContentStore

_OK: Final = 200
_PARTIAL: Final = 206
_NOT_FOUND: Final = 404
_NOT_SATISFIABLE: Final = 416
_PROGRESS_BYTES: Final = 1 << 16
"""What a try must bring to be none that counts."""
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Downloader:
    """Fetches the blobs of one pull. `reference` is named in what is said of a failure."""

    def __init__(
        self,
        registry: PullRegistry,
        store: ContentStore,
        reference: str,
        limits: PullLimits,
        deadline: Deadline,
    ) -> None:
        self._registry = registry
        self._store = store
        self._reference = reference
        self._limits = limits
        self._deadline = deadline

    def fetch(self, blob: Descriptor) -> None:
        """Have the blob in the store, whole and verified, or raise `ImagePullError`."""
        try:
            with alone(self._store.turn_path(blob.digest), self._deadline):
                if not self._store.has_blob(blob.digest, blob.size):
                    self._fetch_alone(blob)
        except StillTakenError as error:
            detail = f"failed to copy: layer {blob.digest}: another pull of it takes too long"
            raise self._failed(detail) from error
        except BodyError as error:
            raise self._failed(str(error)) from error
        except OSError as error:
            detail = f"failed to copy: write: {why_not_written(error)}"
            raise self._failed(detail) from error

    def _fetch_alone(self, blob: Descriptor) -> None:
        with self._store.writing(self._store.blob_path(blob.digest)) as file:
            body = Body(blob, file)
            self._receive_all(body)
            body.verify()

    def _receive_all(self, body: Body) -> None:
        tries = 0
        while True:
            before = body.size
            try:
                self._receive(body)
                return
            except BrokenBodyError:
                tries = 0 if body.size - before >= _PROGRESS_BYTES else tries + 1
                delay_s = self._limits.retry_delay_s
                if tries >= self._limits.attempts or delay_s >= self._deadline.left_s():
                    raise
            time.sleep(delay_s)

    def _receive(self, body: Body) -> None:
        with self._ask(body) as response:
            if response.status_code == _NOT_SATISFIABLE and body.size:
                body.restart()
                raise BrokenBodyError(f"failed to copy: {faults.unexpected_status(response)}")
            if response.status_code == _OK:
                if body.size:
                    body.restart()
            elif not _goes_on(response, body.size):
                raise self._refused(response)
            body.receive(response, self._limits, self._deadline)

    def _ask(self, body: Body) -> requests.Response:
        digest = body.blob.digest
        try:
            return self._registry.get_blob_stream(digest, offset=body.size)
        except requests.exceptions.RequestException as error:
            detail = faults.request_failed(error, self._registry.blob_url(digest))
            raise self._failed(f"failed to copy: {detail}") from error

    def _refused(self, response: requests.Response) -> ImagePullError:
        status = faults.unexpected_status(response)
        if response.status_code in BUSY:
            return registry_unavailable(self._reference, status)
        if response.status_code == _NOT_FOUND:
            return self._failed(f"failed to copy: content at {response.url} not found")
        return self._failed(f"failed to copy: {status}")

    def _failed(self, detail: str) -> ImagePullError:
        return pull_failed(self._reference, detail)


def _goes_on(response: requests.Response, offset: int) -> bool:
    """Whether the answer begins where the file ends."""
    said = response.headers.get("Content-Range", "")
    return bool(offset) and response.status_code == _PARTIAL and said.startswith(f"bytes {offset}-")


def why_not_written(error: OSError) -> str:
    """Say what the disk said, and what to do where that is plain."""
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    if error.errno in _NO_ROOM:
        reason += ": the disk of the node's data directory is full"
    return reason
