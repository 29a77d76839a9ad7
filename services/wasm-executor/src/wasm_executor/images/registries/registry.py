"""The registry API as far as a pull needs it: one manifest, its blobs, over mirrors and itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import requests

from wasm_executor.images.jobs import PullJob
from wasm_executor.images.layers.manifest import ACCEPT
from wasm_executor.images.reference import ImageReference
from wasm_executor.images.registries.authorizing import Authorizer, TokenRequest
from wasm_executor.images.registries.registryhosts import RegistryHost, ca_files_of, hosts_of
from wasm_executor.images.registries.transport import (
    BoundedAdapter,
    Deadline,
    PullSession,
    with_retries,
)

_UNAUTHORIZED: Final = 401
_GIVEN: Final = frozenset({200, 206})


class PullRegistry:
    """A client for one pull from one repository; raises `RegistryHostsError` when made.

    It shows the first of the job's credentials, and to the registry alone.
    """

    def __init__(self, job: PullJob, reference: ImageReference, deadline: Deadline) -> None:
        self._job = job
        self._reference = reference
        self._deadline = deadline
        self._folder = None if job.config_dir is None else Path(job.config_dir)
        self._hosts = hosts_of(reference.registry, self._folder, job.insecure_registries)
        self._session = PullSession(self._adapter)
        credentials = job.credentials[0] if job.credentials else None
        self._authorizers = {
            host.api: Authorizer(
                host, reference.repository, credentials, job.token_hosts, self._send_for_token
            )
            for host in self._hosts
        }
        self._away: set[str] = set()
        """Mirrors that did not answer; they are not asked again by this pull."""

    def manifest_url(self, digest: str | None = None) -> str:
        """Where the manifest is that was asked for, or another one of the same repository."""
        return self._url(self._hosts[-1], self._manifest(digest))

    def blob_url(self, digest: str) -> str:
        return self._url(self._hosts[-1], f"blobs/{digest}")

    def head_manifest(self) -> requests.Response:
        return self._ask("HEAD", self._manifest(None), {"Accept": ACCEPT}, self._may_resolve(None))

    def get_manifest_stream(self, digest: str | None = None) -> requests.Response:
        asked = self._may_resolve(digest)
        return self._ask("GET", self._manifest(digest), {"Accept": ACCEPT}, asked)

    def get_blob_stream(self, digest: str, offset: int = 0) -> requests.Response:
        """Ask for a blob, or for the rest of it; the answer may be the whole all the same."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        return self._ask("GET", f"blobs/{digest}", headers, lambda host: host.pulls)

    def _manifest(self, digest: str | None) -> str:
        return f"manifests/{digest or self._reference.target}"

    def _may_resolve(self, digest: str | None) -> Callable[[RegistryHost], bool]:
        """What a tag means says only who may; a digest says itself whether the answer is right."""
        if digest or self._reference.digest:
            return lambda host: host.pulls
        return lambda host: host.resolves

    def _url(self, host: RegistryHost, what: str) -> str:
        """A mirror may be one of several registries': containerd tells it so, too."""
        asked = f"?ns={quote(self._reference.registry)}" if host.is_mirror else ""
        return f"{host.api}/{self._reference.repository}/{what}{asked}"

    def _ask(
        self, method: str, what: str, headers: dict[str, str], may: Callable[[RegistryHost], bool]
    ) -> requests.Response:
        """Ask the mirrors, and the registry itself where none of them has it."""
        *mirrors, origin = self._hosts
        for mirror in mirrors:
            if mirror.api in self._away or not may(mirror):
                continue
            try:
                response = self._ask_host(mirror, method, what, headers)
            except requests.exceptions.RequestException:
                self._away.add(mirror.api)
                continue
            if response.status_code in _GIVEN:
                return response
            response.close()
        return self._ask_host(origin, method, what, headers)

    def _ask_host(
        self, host: RegistryHost, method: str, what: str, headers: dict[str, str]
    ) -> requests.Response:
        """Send with retries; answer one challenge, and only the host's own."""
        url, authorizer = self._url(host, what), self._authorizers[host.api]
        response = self._send(method, url, headers, authorizer.header)
        is_own = urlsplit(response.url).netloc.lower() == host.netloc.lower()
        if response.status_code != _UNAUTHORIZED or not is_own or not authorizer.answer(response):
            return response
        response.close()
        return self._send(method, url, headers, authorizer.header)

    def _send(
        self, method: str, url: str, headers: dict[str, str], secret: str
    ) -> requests.Response:
        return with_retries(
            lambda: self._session.ask(method, url, headers, secret),
            self._job.limits,
            self._deadline,
        )

    def _send_for_token(self, wanted: TokenRequest) -> requests.Response:
        """A redirect is no answer: who else would read the password is not to be decided there."""
        return with_retries(
            lambda: self._session.request(
                wanted.method,
                wanted.url,
                headers=wanted.headers,
                data=wanted.form,
                stream=True,
                allow_redirects=False,
            ),
            self._job.limits,
            self._deadline,
        )

    def _adapter(self, netloc: str) -> BoundedAdapter:
        known = [each for each in self._hosts if each.netloc.lower() == netloc]
        own = known[0].ca_files if known else ca_files_of(netloc, self._folder)
        allowed = {each.netloc for each in self._hosts if each.is_plain}
        return BoundedAdapter(
            self._job.limits,
            deadline=self._deadline,
            plain=allowed.union(self._job.insecure_registries),
            ca_files=(*([self._job.ca_file] if self._job.ca_file else []), *own),
        )
