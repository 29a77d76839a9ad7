"""The Authorization header of each request, always from what is valid now.

Service account tokens are rotated on disk about once an hour, kubeconfig plugins hand out tokens
that expire. A header read once at the start works in every test and fails after the first hour.
"""

import asyncio
import traceback
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from kubekit.errors import KubeconfigError, PluginHangsError, UnauthorizedError
from kubekit.kubeconfig import Connection
from kubekit.tls import TlsContext, file_fingerprint

type Fingerprint = tuple[int, int, int] | None

_PLUGIN_LIFETIME_S: Final = 600.0
PLUGIN_TIMEOUT_S: Final = 60.0
"""As long as a plugin may take that asks somebody far away."""
PLUGIN_PAUSE_S: Final = 30.0
"""How long one is left alone that took longer."""


class Credential(Protocol):
    """Something that knows the Authorization header of the next request."""

    async def header(self) -> str | None:
        """The header's value, or None where the client certificate is all."""
        ...

    def forget(self, offered: str) -> None:
        """The server answered 401: do not offer this again without looking anew."""
        ...

    async def close(self) -> None:
        """Nothing will be asked for any more."""
        ...


class StaticCredential:
    """A token from the kubeconfig itself, or none."""

    def __init__(self, token: str | None) -> None:
        self._header = f"Bearer {token}" if token else None

    async def header(self) -> str | None:
        return self._header

    def forget(self, offered: str) -> None:
        """Nothing else can be offered."""

    async def close(self) -> None:
        """Nothing is open."""


class FileCredential:
    """A token file that somebody else rotates."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fingerprint: Fingerprint = None
        self._header: str | None = None

    async def header(self) -> str | None:
        # A stat costs a microsecond; so a rotated token counts from the very next request.
        fingerprint = file_fingerprint(self._path)
        if self._header is None or fingerprint != self._fingerprint:
            self._read(fingerprint)
        return self._header

    def forget(self, offered: str) -> None:
        if offered == self._header:
            self._header = None

    async def close(self) -> None:
        """Nothing is open."""

    def _read(self, fingerprint: Fingerprint) -> None:
        try:
            token = self._path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _no_credential(f"token file {self._path}: {error}") from error
        if not token:
            raise _no_credential(f"token file {self._path} is empty")
        self._header, self._fingerprint = f"Bearer {token}", fingerprint


class PluginCredential:
    """A token or certificate from an `exec` plugin or `auth-provider`, got by `kubernetes.aio`.

    However many requests want it, the plugin runs once, and longer than any of them waits.
    """

    def __init__(
        self, kubeconfig: Path, clock: Callable[[], float], present: Callable[[Path, Path], None]
    ) -> None:
        """`present` is told the files of the certificate and key, if the plugin gives such."""
        self._kubeconfig = kubeconfig
        self._clock = clock
        self._present = present
        self._header: str | None = None
        self._fetched_at: float | None = None
        self._problem = ""
        self._paused_until_s: float | None = None
        self._fetch: asyncio.Task[None] | None = None

    async def header(self) -> str | None:
        if self._fetched_at is None or self._clock() - self._fetched_at > _PLUGIN_LIFETIME_S:
            if self._is_paused():
                raise _no_credential(self._problem)
            if self._fetch is None or self._fetch.done():
                self._fetch = asyncio.create_task(self._load())  # noqa: TID251 - `close` ends it; no request may
            await asyncio.shield(self._fetch)
            if self._problem:
                raise _no_credential(self._problem)
        return self._header

    def forget(self, offered: str) -> None:
        # Of many requests that meet a 401 at once, the last ones come when there is a new token.
        if offered == self._header:
            self._fetched_at = None

    async def close(self) -> None:
        if self._fetch is not None and self._fetch.cancel():
            await asyncio.wait([self._fetch])

    def _is_paused(self) -> bool:
        return self._paused_until_s is not None and self._clock() < self._paused_until_s

    async def _load(self) -> None:
        self._paused_until_s = None
        try:
            given = await _given_by_plugin(self._kubeconfig)
        except KubeconfigError as error:
            self._problem = str(error)
            if isinstance(error, PluginHangsError):
                self._paused_until_s = self._clock() + PLUGIN_PAUSE_S
            return
        if given.cert_file:
            self._present(Path(given.cert_file), Path(given.key_file))
        self._problem = ""
        self._header = given.api_key.get("BearerToken")
        self._fetched_at = self._clock()


def _no_credential(message: str) -> UnauthorizedError:
    """Retryable, as a 401 is: the file is being rotated, the plugin's server is away."""
    return UnauthorizedError(0, "NoCredential", message)


async def load_by_plugin(kubeconfig: Path) -> Any:
    """A `kubernetes.aio` Configuration with what the user's plugin gave. Imports 20 MB: late."""
    try:
        from kubernetes.aio import client, config
    except ModuleNotFoundError as error:
        raise KubeconfigError(
            f"kubeconfig {kubeconfig}: this installation runs no credential plugins (the images "
            "have none): name a token, a client certificate or a service account"
        ) from error

    configuration = client.Configuration()
    try:
        # persist_config would write the file back, with tokens, at once and without need.
        async with asyncio.timeout(PLUGIN_TIMEOUT_S), _ending_children():
            await config.load_kube_config(  # type: ignore[no-untyped-call]  # no types there
                config_file=str(kubeconfig),
                client_configuration=configuration,
                persist_config=False,
            )
    except TimeoutError as error:
        problem = f"the credential plugin did not end within {PLUGIN_TIMEOUT_S:g} s"
        raise PluginHangsError(f"kubeconfig {kubeconfig}: {problem}") from error
    except Exception as error:
        # A plugin may raise anything; whatever it is, the operator has to see it as this.
        raise KubeconfigError(f"kubeconfig {kubeconfig}: {error}") from error
    return configuration


@asynccontextmanager
async def _ending_children() -> AsyncGenerator[None]:
    """End the process that the body waits for when it is cancelled.

    The library leaves it running, and only the frames that the cancellation goes through know it.
    """
    try:
        yield
    except asyncio.CancelledError as cancelled:
        for frame, _ in traceback.walk_tb(cancelled.__traceback__):
            for child in tuple(frame.f_locals.values()):
                if isinstance(child, Process):
                    # Kills it and closes its pipes; `kill` alone waits for heirs of them.
                    child._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - as above
                    await child.wait()
        raise


async def _given_by_plugin(kubeconfig: Path) -> Any:
    """The same, if the plugin gave anything: kubernetes.aio logs a failed one and goes on."""
    configuration = await load_by_plugin(kubeconfig)
    if not configuration.cert_file and not configuration.api_key.get("BearerToken"):
        raise KubeconfigError(
            f"kubeconfig {kubeconfig}: the plugin gave neither token nor "
            "certificate (its error is in the log)"
        )
    return configuration


async def with_plugin_certificate(connection: Connection) -> Connection:
    """The connection, completed by the client certificate that an `exec` plugin may hand out."""
    if connection.plugin_kubeconfig is None:
        return connection
    configuration = await _given_by_plugin(connection.plugin_kubeconfig)
    if not configuration.cert_file:
        return connection
    return msgspec.structs.replace(
        connection,
        certificate=Path(configuration.cert_file),
        key=Path(configuration.key_file),
    )


def credential_for(
    connection: Connection, clock: Callable[[], float], tls: TlsContext | None = None
) -> Credential:
    """The credential that fits the connection; what a plugin gives goes to `tls`, too."""
    if connection.plugin_kubeconfig is not None and connection.token is None:
        present = _to_nobody if tls is None else tls.present
        return PluginCredential(connection.plugin_kubeconfig, clock, present)
    if connection.token_file is not None:
        return FileCredential(connection.token_file)
    return StaticCredential(connection.token)


def _to_nobody(certificate: Path, key: Path) -> None:
    """Without TLS nobody asks for a certificate."""
