"""The one module of the command line that knows oras.

oras finds the addresses and the credentials (those of `docker login`, too). Its own requests wait
for ever and sleep two minutes over a refused connection, and its uploads tell no progress.
"""

import hashlib
import ssl
from typing import Any, Final, TextIO
from urllib.parse import urljoin, urlsplit

import msgspec
import oras.container
import oras.oci
import oras.provider
import oras.utils
import requests
from requests.adapters import HTTPAdapter

from wasmlet.artifact import TITLE, Artifact, Blob, Target
from wasmlet.errors import CommandLineError
from wasmlet.progress import Progress, ReportedBody

_MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MOST_BYTES: Final = 256 << 20
_TIMEOUT_S: Final = (10.0, 60.0)
_UNAUTHORIZED: Final = 401
_DENIED: Final = frozenset({401, 403})
_TOO_EARLY: Final = 400
_DOCKER_HUB: Final = {"docker.io": "registry-1.docker.io"}
_DOCKER_HUB_LOGIN: Final = "https://index.docker.io/v1/"


class PushError(CommandLineError):
    """The registry did not take the artifact."""


class _Adapter(HTTPAdapter):
    """Time-outs on every request, and a CA beside the public ones."""

    def __init__(self, ca_file: str | None) -> None:
        self._ca_file = ca_file
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        if self._ca_file is not None:
            context = ssl.create_default_context()
            context.load_verify_locations(self._ca_file)
            kwargs["ssl_context"] = context
        super().init_poolmanager(*args, **kwargs)

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        kwargs["timeout"] = _TIMEOUT_S
        return super().send(request, *args, **kwargs)


class PushRegistry(oras.provider.Registry):  # type: ignore[misc]  # oras ships no types
    """A client for one push to one repository, or for one look at it."""

    def __init__(
        self, target: Target, *, insecure: bool, ca_file: str | None, doing: str = "push"
    ) -> None:
        self._target = target
        self._doing = doing
        self._host = _DOCKER_HUB.get(target.registry, target.registry)
        super().__init__(hostname=self._host, insecure=insecure)
        try:
            adapter = _Adapter(ca_file)
        except OSError as error:
            raise PushError(f"cannot use the CA file {ca_file}: {error}") from error
        self.session.auth = _leave_alone
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)
        self._container = oras.container.Container("placeholder/name")
        self._container.registry = self._host
        self._container.namespace = None
        self._container.repository = target.repository
        self._container.tag = target.tag
        self._load_login()

    def _load_login(self) -> None:
        """Docker writes logins of its Hub under an address that is no registry's."""
        asked = oras.container.Container("placeholder/name")
        asked.registry = _DOCKER_HUB_LOGIN if self._host in _DOCKER_HUB.values() else self._host
        try:
            self.auth.load_configs(asked)
        except (OSError, ValueError) as error:
            raise PushError(f"cannot read the logins in ~/.docker/config.json: {error}") from error

    def push(self, artifact: Artifact, stream: TextIO) -> str:
        """Upload what is missing, then the manifest; return the manifest's digest."""
        try:
            self._upload(
                artifact.layer, Progress(stream, artifact.title, len(artifact.layer.content))
            )
            self._upload(artifact.config, None)
            manifest = _manifest(artifact)
            url = f"{self.prefix}://{self._container.manifest_url()}"
            headers = {"Content-Type": manifest.media_type}
            self._checked(self.do_request(url, "PUT", data=manifest.content, headers=headers))
        except requests.exceptions.RequestException as error:
            raise self._error(_reason(error, insecure=self.prefix == "http")) from error
        return manifest.digest

    def manifest(self, digest: str | None = None) -> bytes:
        """Fetch the manifest or index that the target names, or another one of its repository."""
        url = f"{self.prefix}://{self._container.manifest_url(digest)}"
        return self._fetched(url, {"Accept": ", ".join(_MANIFESTS)}, digest)

    def blob(self, digest: str) -> bytes:
        """Fetch a blob, whole."""
        url = f"{self.prefix}://{self._container.get_blob_url(digest)}"
        return self._fetched(url, {}, digest)

    def _fetched(self, url: str, headers: dict[str, str], digest: str | None) -> bytes:
        """No more than a limit, and only what has the digest that was asked for."""
        try:
            with self._checked(self.do_request(url, headers=headers, stream=True)) as response:
                content = response.raw.read(_MOST_BYTES + 1, decode_content=False)
        except requests.exceptions.RequestException as error:
            raise self._error(_reason(error, insecure=self.prefix == "http")) from error
        if len(content) > _MOST_BYTES:
            raise self._error(f"{digest or url} has more than {_MOST_BYTES} bytes")
        algorithm = (digest or "").partition(":")[0]
        if digest and f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}" != digest:
            raise self._error(f"{digest} has another content than its digest says")
        return bytes(content)

    def do_request(self, url: str, method: str = "GET", **request: Any) -> requests.Response:
        """Answer one challenge, and only the registry's own."""
        headers = dict(request.pop("headers", None) or {})
        own = urlsplit(url).netloc == self._host
        if own:
            headers.update(self.auth.get_auth_header())
        response: requests.Response = self.session.request(method, url, headers=headers, **request)
        if response.status_code != _UNAUTHORIZED or not own:
            return response
        answer = self._answer(response)
        if answer is None:
            return response
        headers["Authorization"] = answer
        answered: requests.Response = self.session.request(method, url, headers=headers, **request)
        return answered

    def _answer(self, response: requests.Response) -> str | None:
        scheme = response.headers.get("WWW-Authenticate", "").split(" ", 1)[0].lower()
        if scheme == "basic":
            pair = getattr(self.auth, "_basic_auth", "")
            return f"Basic {pair}" if pair else None
        self.auth.token = None
        headers, changed = self.auth.authenticate_request(response, {})
        return str(headers["Authorization"]) if changed else None

    def _upload(self, blob: Blob, progress: Progress | None) -> None:
        if self.blob_exists(blob.descriptor(), self._container):
            if progress is not None:
                progress.end("already there:")
            return
        url = f"{self.prefix}://{self._container.upload_blob_url()}"
        started = self._checked(self.do_request(url, "POST"))
        location = urljoin(url, started.headers.get("Location", ""))
        content: bytes | ReportedBody = blob.content
        if progress is not None:
            progress.begin()
            content = ReportedBody(blob.content, progress)
        response = self.do_request(
            oras.utils.append_url_params(location, {"digest": blob.digest}),
            "PUT",
            data=content,
            headers={"Content-Type": "application/octet-stream"},
        )
        self._checked(response)
        if progress is not None:
            progress.end("pushed")

    def _checked(self, response: requests.Response) -> requests.Response:
        if response.status_code < _TOO_EARLY:
            return response
        if response.status_code in _DENIED:
            raise self._error(
                f"access denied ({response.status_code}): "
                f"log in with `docker login {self._target.registry}`, "
                f"or ask for the right to {self._doing}"
            )
        raise self._error(f"{response.status_code} {response.reason}: {_messages(response)}")

    def _error(self, reason: str) -> PushError:
        return PushError(f"cannot {self._doing} {self._target}: {reason}")


def _manifest(artifact: Artifact) -> Blob:
    manifest = oras.oci.NewManifest()
    manifest["config"] = artifact.config.descriptor()
    manifest["layers"] = [{**artifact.layer.descriptor(), "annotations": {TITLE: artifact.title}}]
    return Blob(media_type=manifest["mediaType"], content=msgspec.json.encode(manifest))


def _leave_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Set as the session's authentication, it keeps requests from reading ~/.netrc."""
    return request


def _messages(response: requests.Response) -> str:
    """The registry's own words, where it answers in the specified form."""
    try:
        errors = response.json()["errors"]
        return "; ".join(str(error.get("message") or error.get("code")) for error in errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        return " ".join(response.text[:200].split()) or "no explanation"


def _reason(error: requests.exceptions.RequestException, *, insecure: bool) -> str:
    text = str(error)
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return "the registry speaks plain HTTP: use --insecure if that is meant"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "the registry's certificate is not trusted: name its CA with --ca-file"
    for known in ("Connection refused", "Name or service not known", "No route to host"):
        if known in text:
            return known.lower()
    if isinstance(error, requests.exceptions.Timeout):
        return "the registry does not answer in time"
    hint = " (is it an HTTPS registry?)" if insecure else ""
    return " ".join(text.split())[:300] + hint
