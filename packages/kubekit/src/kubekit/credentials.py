"""The Authorization header of each request, always from what is valid now.

Service account tokens are rotated on disk about once an hour, kubeconfig plugins hand out tokens
that expire. A header read once at the start works in every test and fails after the first hour.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from kubekit.errors import KubeconfigError, UnauthorizedError
from kubekit.kubeconfig import Connection
from kubekit.tls import file_fingerprint

type Fingerprint = tuple[int, int, int] | None

_PLUGIN_LIFETIME_S: Final = 600.0


class Credential(Protocol):
    """Something that knows the Authorization header of the next request."""

    async def header(self) -> str | None:
        """The header's value, or None where the client certificate is all."""
        ...

    def forget(self) -> None:
        """The server answered 401: do not offer the same again without looking anew."""
        ...


class StaticCredential:
    """A token from the kubeconfig itself, or none."""

    def __init__(self, token: str | None) -> None:
        self._header = f"Bearer {token}" if token else None

    async def header(self) -> str | None:
        return self._header

    def forget(self) -> None:
        """Nothing else can be offered."""


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

    def forget(self) -> None:
        self._header = None

    def _read(self, fingerprint: Fingerprint) -> None:
        try:
            token = self._path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _no_credential(f"token file {self._path}: {error}") from error
        if not token:
            raise _no_credential(f"token file {self._path} is empty")
        self._header, self._fingerprint = f"Bearer {token}", fingerprint


class PluginCredential:
    """A token from an `exec` plugin or `auth-provider`, fetched by `kubernetes.aio`."""

    def __init__(self, kubeconfig: Path, clock: Callable[[], float]) -> None:
        self._kubeconfig = kubeconfig
        self._clock = clock
        self._header: str | None = None
        self._fetched_at = 0.0

    async def header(self) -> str | None:
        if self._header is None or self._clock() - self._fetched_at > _PLUGIN_LIFETIME_S:
            try:
                configuration = await load_by_plugin(self._kubeconfig)
            except KubeconfigError as error:
                raise _no_credential(str(error)) from error
            self._header = configuration.api_key.get("BearerToken")
            self._fetched_at = self._clock()
        return self._header

    def forget(self) -> None:
        self._header = None


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
        await config.load_kube_config(  # type: ignore[no-untyped-call]  # no types there
            config_file=str(kubeconfig), client_configuration=configuration, persist_config=False
        )
    except Exception as error:
        # A plugin may raise anything; whatever it is, the operator has to see it as this.
        raise KubeconfigError(f"kubeconfig {kubeconfig}: {error}") from error
    return configuration


async def with_plugin_certificate(connection: Connection) -> Connection:
    """The connection, completed by the client certificate that an `exec` plugin may hand out."""
    if connection.plugin_kubeconfig is None:
        return connection
    configuration = await load_by_plugin(connection.plugin_kubeconfig)
    if not configuration.cert_file and not configuration.api_key.get("BearerToken"):
        # kubernetes.aio logs a failed plugin and goes on as anonymous.
        raise KubeconfigError(
            f"kubeconfig {connection.plugin_kubeconfig}: the plugin gave neither token nor "
            "certificate (its error is in the log)"
        )
    if not configuration.cert_file:
        return connection
    return msgspec.structs.replace(
        connection,
        certificate=Path(configuration.cert_file),
        key=Path(configuration.key_file),
    )


def credential_for(connection: Connection, clock: Callable[[], float]) -> Credential:
    """The credential that fits the connection."""
    if connection.plugin_kubeconfig is not None and connection.token is None:
        return PluginCredential(connection.plugin_kubeconfig, clock)
    if connection.token_file is not None:
        return FileCredential(connection.token_file)
    return StaticCredential(connection.token)
