"""The one module that knows oras.

oras turns references into addresses and challenges into tokens. Its own request loop is not used:
it sleeps for two minutes on a refused connection, its manifests and blobs are unverified, it
merges the Docker configuration of whoever runs it, and after a redirect it would answer another
host's challenge with this registry's password.
"""

import base64
from typing import Any, Final
from urllib.parse import urlsplit

import oras.auth.token
import oras.container
import oras.provider
import requests

from wasm_executor.images.jobs import PullJob
from wasm_executor.images.manifest import ACCEPT
from wasm_executor.images.reference import DEFAULT_REGISTRY, ImageReference
from wasm_executor.images.transport import BoundedAdapter, Deadline, new_session, with_retries

_DOCKER_HUB: Final = "registry-1.docker.io"
_UNAUTHORIZED: Final = 401


class PullRegistry(oras.provider.Registry):  # type: ignore[misc]  # oras ships no types
    """A client for one pull from one repository."""

    def __init__(self, job: PullJob, reference: ImageReference, deadline: Deadline) -> None:
        self.host = _DOCKER_HUB if reference.registry == DEFAULT_REGISTRY else reference.registry
        plain = frozenset(job.insecure_registries)
        super().__init__(hostname=self.host, insecure=self.host in plain)
        self._limits = job.limits
        self._deadline = deadline
        adapter = BoundedAdapter(job.limits, deadline=deadline, plain=plain, ca_file=job.ca_file)
        self.session = new_session(adapter)
        self.auth = oras.auth.token.TokenAuth()
        self.auth.session = self.session
        self.auth.prefix = self.prefix
        self.auth._tls_verify = True  # noqa: SLF001  # oras sets it from outside, too
        self._basic = _basic_pair(job)
        if self._basic:
            self.auth._basic_auth = self._basic  # noqa: SLF001  # without it, an anonymous token
        self._container = _container(self.host, reference)

    def manifest_url(self, digest: str | None = None) -> str:
        """Where the manifest is that was asked for, or another one of the same repository."""
        return f"{self.prefix}://{self._container.manifest_url(digest)}"

    def blob_url(self, digest: str) -> str:
        return f"{self.prefix}://{self._container.get_blob_url(digest)}"

    def head_manifest(self) -> requests.Response:
        return self.do_request(self.manifest_url(), "HEAD", headers={"Accept": ACCEPT})

    def get_manifest_stream(self, digest: str | None = None) -> requests.Response:
        headers = {"Accept": ACCEPT}
        return self.do_request(self.manifest_url(digest), "GET", headers=headers, stream=True)

    def get_blob_stream(self, digest: str, offset: int = 0) -> requests.Response:
        """Ask for a blob, or for the rest of it; the answer may be the whole all the same."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        return self.do_request(self.blob_url(digest), "GET", headers=headers, stream=True)

    def do_request(
        self,
        url: str,
        method: str = "GET",
        *,
        headers: dict[str, str] | None = None,
        stream: bool = False,
        **_unused: Any,
    ) -> requests.Response:
        """Send with retries; answer one challenge, and only the registry's own."""
        sent = {**(headers or {}), **self.auth.get_auth_header()}
        response = self._send(method, url, sent, stream=stream)
        if response.status_code != _UNAUTHORIZED or not self._is_own(response):
            return response
        answer = self._answer(response)
        if answer is None:
            return response
        response.close()
        return self._send(method, url, {**sent, "Authorization": answer}, stream=stream)

    def _answer(self, response: requests.Response) -> str | None:
        """Return the Authorization header for a challenge, when there is one to give."""
        scheme = response.headers.get("WWW-Authenticate", "").split(" ", 1)[0].lower()
        if scheme == "basic":
            return f"Basic {self._basic}" if self._basic else None
        self.auth.token = None
        headers, changed = self.auth.authenticate_request(response, {})
        return str(headers["Authorization"]) if changed else None

    def _send(
        self, method: str, url: str, headers: dict[str, str], *, stream: bool
    ) -> requests.Response:
        """A redirect to another host goes without the Authorization header: requests drops it."""
        return with_retries(
            lambda: self.session.request(
                method, url, headers=headers, stream=stream, allow_redirects=True
            ),
            self._limits,
            self._deadline,
        )

    def _is_own(self, response: requests.Response) -> bool:
        return urlsplit(response.url).netloc.lower() == self.host.lower()


def _basic_pair(job: PullJob) -> str:
    if job.credentials is None:
        return ""
    pair = f"{job.credentials.username}:{job.credentials.password}"
    return base64.b64encode(pair.encode()).decode()


def _container(host: str, reference: ImageReference) -> oras.container.Container:
    """Name the parts outright: the parser of oras takes `localhost/x` for a Docker Hub name."""
    container = oras.container.Container("placeholder/name")
    container.registry = host
    container.namespace = None
    container.repository = reference.repository
    container.tag = reference.tag
    container.digest = reference.digest
    return container
