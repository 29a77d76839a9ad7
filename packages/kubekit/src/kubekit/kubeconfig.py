"""Where the API server is and who we are to it, read from a kubeconfig or from the pod we run in.

`kubernetes.aio` can read both, but importing any part of it imports every model of the API (20 MB
and 0.5 s in each service), and it writes inline client keys to files on disk. So the plain
forms (certificates, token, tokenFile, in-cluster) are read here, and only a user that needs a
plugin (`exec`, `auth-provider`) is left to `kubernetes.aio` (see `credentials`).
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from kubekit.errors import KubeconfigError

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")

type Pem = Path | bytes
"""A PEM file (re-read when it changes) or its content, from a `-data` field."""


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One API server and one identity. Paths are absolute; nothing has been opened yet."""

    server: str
    authority: Pem | None = None
    certificate: Pem | None = None
    key: Pem | None = None
    token: str | None = None
    token_file: Path | None = None
    verify: bool = True
    server_name: str | None = None
    proxy: str | None = None
    plugin_kubeconfig: Path | None = None
    """Set where the user needs `exec` or `auth-provider`: the file for `kubernetes.aio`."""

    def __repr__(self) -> str:
        # A token or key must not reach a log or a traceback by way of repr.
        return f"Connection(server={self.server!r})"


def read_kubeconfig(path: Path) -> Connection:
    """The current context of a kubeconfig file; relative paths in it are relative to the file."""
    import yaml

    try:
        document = yaml.load(path.read_bytes(), Loader=_loader(yaml))  # noqa: S506 -- a safe loader
    except (OSError, yaml.YAMLError) as error:
        raise KubeconfigError(f"kubeconfig {path}: {error}") from error
    if not isinstance(document, dict):
        raise KubeconfigError(f"kubeconfig {path}: it holds no mapping")
    try:
        return parse_kubeconfig(document, path.absolute())
    except (AttributeError, TypeError, KeyError) as error:  # say a number for text
        raise KubeconfigError(f"kubeconfig {path}: it is malformed: {error}") from error


def parse_kubeconfig(document: Mapping[str, Any], path: Path) -> Connection:
    """The current context of a parsed kubeconfig that lies (or would lie) at `path`."""
    context = _named(document, "contexts", "context", document.get("current-context"), path)
    cluster = _named(document, "clusters", "cluster", context.get("cluster"), path)
    user: Mapping[str, Any] = {}
    if context.get("user"):
        user = _named(document, "users", "user", context["user"], path)
    if not cluster.get("server"):
        raise KubeconfigError(
            f"kubeconfig {path}: the cluster {context['cluster']!r} has no server"
        )
    plugin = "exec" in user or "auth-provider" in user
    return Connection(
        server=_address(cluster["server"], path),
        authority=_pem(cluster, "certificate-authority", path),
        certificate=_pem(user, "client-certificate", path),
        key=_pem(user, "client-key", path),
        token=user.get("token"),
        # kubectl's order: an inline token wins over the file.
        token_file=_relative(user, "tokenFile", path) if not user.get("token") else None,
        verify=not cluster.get("insecure-skip-tls-verify", False),
        server_name=cluster.get("tls-server-name"),
        proxy=cluster.get("proxy-url"),
        plugin_kubeconfig=path if plugin else None,
    )


def in_cluster(environ: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Connection:
    """The connection of the service account whose token the kubelet mounted into this pod."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise KubeconfigError(
            "no kubeconfig given, and this is no pod: KUBERNETES_SERVICE_HOST is not set"
        )
    if not (folder / "token").is_file():
        raise KubeconfigError(f"no kubeconfig given, and {folder} holds no service account token")
    return Connection(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        authority=folder / "ca.crt",
        token_file=folder / "token",
    )


def _address(server: str, path: Path) -> str:
    try:
        parts = urlsplit(server)
        is_one = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none, half a bracket
        is_one = False
    if not is_one:
        raise KubeconfigError(f"kubeconfig {path}: {server!r} is no server, want https://HOST:PORT")
    return server.rstrip("/")


def _loader(yaml: Any) -> Any:
    """The C loader where libyaml is there: a kubeconfig of many clusters takes a second without."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _named(
    document: Mapping[str, Any], section: str, kind: str, name: object, path: Path
) -> Mapping[str, Any]:
    if not name:
        raise KubeconfigError(f"kubeconfig {path}: no current {kind} is named")
    entries: Sequence[Mapping[str, Any]] = document.get(section) or ()
    for entry in entries:
        if entry.get("name") == name:
            return entry.get(kind) or {}
    raise KubeconfigError(f"kubeconfig {path}: there is no {kind} named {name!r}")


def _pem(section: Mapping[str, Any], field: str, path: Path) -> Pem | None:
    data = section.get(f"{field}-data")
    if not data:
        return _relative(section, field, path)
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise KubeconfigError(f"kubeconfig {path}: {field}-data is not base64") from error


def _relative(section: Mapping[str, Any], field: str, path: Path) -> Path | None:
    return path.parent / section[field] if section.get(field) else None
