"""One pull: resolve the name, fetch the manifest and what it names, write them down.

Nothing that a registry says is taken for true. A manifest's bytes are hashed, a blob is hashed
while it streams, its size is the one that the manifest declares, and a name is written down only
after the content is complete on disk.
"""

import time
from collections.abc import Callable
from typing import Final

import requests

from wasm_executor.images.errors import ImageAccessError, ImagePullError
from wasm_executor.images.jobs import Pulled, PullJob
from wasm_executor.images.layers.gathering import Gathering
from wasm_executor.images.layers.layerstream import UnpackError
from wasm_executor.images.layers.manifest import Descriptor, ManifestError, digest_of
from wasm_executor.images.policy import ERR_IMAGE_PULL, pull_failed, registry_unavailable
from wasm_executor.images.records import ImageRecord, NameRecord
from wasm_executor.images.reference import ImageReference, InvalidDigestError, check_digest
from wasm_executor.images.registries import faults
from wasm_executor.images.registries.authorizing import AuthorizationError
from wasm_executor.images.registries.downloading import Downloader, why_not_written
from wasm_executor.images.registries.registry import PullRegistry
from wasm_executor.images.registries.streaming import BodyError, read_manifest, wrong_digest
from wasm_executor.images.registries.transport import BUSY, Deadline
from wasm_executor.images.store import ContentStore

_OK: Final = 200
_DENIED: Final = frozenset({401, 403})
_NOT_FOUND: Final = 404
_REFUSALS: Final = _DENIED | {_NOT_FOUND} | BUSY


class Pull:
    """The steps of one pull, in their order."""

    def __init__(self, job: PullJob, reference: ImageReference, store: ContentStore) -> None:
        self._reference = reference
        self._limits = job.limits
        self._mount = job.mount
        self._store = store
        self._deadline = Deadline(job.limits.total_timeout_s)
        self._registry = PullRegistry(job, reference, self._deadline)
        self._downloads = Downloader(
            self._registry, store, str(reference), job.limits, self._deadline
        )

    def run(self) -> Pulled:
        started_at = time.monotonic()
        downloaded_bytes = 0
        try:
            image = self._known_image()
            if image is None:
                image, downloaded_bytes = self._fetch_image()
            self._write_names(image.manifest_digest)
        except OSError as error:  # of this machine's disk: the network's are told apart before
            raise self._failed(f"cannot be stored: {why_not_written(error)}") from error
        duration_s = time.monotonic() - started_at
        return Pulled(image=image, duration_s=duration_s, downloaded_bytes=downloaded_bytes)

    def manifest(self, digest: str) -> tuple[bytes, str]:
        """Return the manifest that an index names."""
        content, content_type, _ = self._fetch_manifest(digest)
        self._store.write_blob(digest, content)
        return content, content_type

    def have_blob(self, blob: Descriptor) -> int:
        self._downloads.fetch(blob)
        return blob.size

    def _known_image(self) -> ImageRecord | None:
        """Ask where the name points to; most starts with policy Always find nothing new.

        What came from elsewhere is not known here: a registry that has heard a digest, and says it,
        has not shown that it has the image.
        """
        response = self._resolve(self._registry.head_manifest)
        if response.status_code in _REFUSALS:
            raise self._refused(response)
        if response.status_code != _OK:
            return None  # a registry may know no HEAD: the GET tells
        digest = self._reference.digest or response.headers.get("Docker-Content-Digest", "")
        known = _is_digest(digest) and self._store.has_name(self._reference.with_digest(digest))
        image = self._store.read_image(digest, mount=self._mount) if known else None
        if image is None or not self._store.is_here(image):
            return None
        return image

    def _fetch_image(self) -> tuple[ImageRecord, int]:
        content, content_type, digest = self._fetch_manifest(self._reference.digest)
        gathering = Gathering(self, self._store, self._limits, mount=self._mount)
        try:
            image = gathering.gather(digest, content, content_type)
        except (ManifestError, UnpackError) as error:
            raise self._failed(str(error)) from error
        self._store.write_image(image)
        return image, gathering.downloaded_bytes

    def _fetch_manifest(self, digest: str | None) -> tuple[bytes, str, str]:
        """Return the bytes, the type that they were sent as, and their digest."""
        with self._resolve(lambda: self._registry.get_manifest_stream(digest)) as response:
            if response.status_code != _OK:
                raise self._refused(response)
            headers = response.headers
            try:
                content = read_manifest(response, self._limits, self._deadline)
                expected = digest or headers.get("Docker-Content-Digest", "")
                found = self._verify(content, expected)
            except BodyError as error:
                raise self._failed(str(error)) from error
        return content, headers.get("Content-Type", ""), found

    def _verify(self, content: bytes, expected: str) -> str:
        """Compare with the digest that was asked for, else with the one that came along."""
        if not _is_digest(expected):
            return digest_of(content)
        found = digest_of(content, expected.split(":", 1)[0])
        if found != expected:
            raise BodyError(wrong_digest(f"manifest-{expected}", found, expected))
        return found

    def _resolve(self, ask: Callable[[], requests.Response]) -> requests.Response:
        try:
            return ask()
        except requests.exceptions.RequestException as error:
            detail = faults.request_failed(error, self._registry.manifest_url())
            if isinstance(error, AuthorizationError) and error.denied:
                raise self._no_access(detail) from error
            raise self._unresolved(detail) from error

    def _write_names(self, manifest_digest: str) -> None:
        for name in {str(self._reference), self._reference.with_digest(manifest_digest)}:
            self._store.write_name(
                NameRecord(name=name, manifest_digest=manifest_digest, resolved_at=time.time())
            )

    def _refused(self, response: requests.Response) -> ImagePullError:
        if response.status_code in BUSY:
            return self._unavailable(response)
        if response.status_code == _NOT_FOUND:
            return self._no_access(f"{self._reference}: not found")
        status = faults.unexpected_status(response)
        if response.status_code in _DENIED:
            return self._no_access(
                "pull access denied, repository does not exist or may require authorization: "
                f"authorization failed: {status}"
            )
        return self._unresolved(status)

    def _unavailable(self, response: requests.Response) -> ImagePullError:
        return registry_unavailable(str(self._reference), faults.unexpected_status(response))

    def _no_access(self, detail: str) -> ImageAccessError:
        return ImageAccessError(ERR_IMAGE_PULL, self._unresolved(detail).message)

    def _unresolved(self, detail: str) -> ImagePullError:
        return self._failed(f'failed to resolve reference "{self._reference}": {detail}')

    def _failed(self, detail: str) -> ImagePullError:
        return pull_failed(str(self._reference), detail)


def _is_digest(text: str) -> bool:
    try:
        check_digest(text)
    except InvalidDigestError:
        return False
    return True
