"""Where the images of a registry are asked for: its mirrors, itself, and whose certificates count.

An operator says so in the folder that containerd reads as `certs.d`, one folder per registry
(`HOST`, `HOST:PORT`, containerd's `HOST_PORT_`, or `_default`), with a `hosts.toml` or, as Docker
has it, `*.crt` files alone. What of such a file is not understood is refused, not passed over: an
ignored line about security would be worse than a pull that fails and says why.
"""

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from wasm_executor.images.reference import DEFAULT_REGISTRY

_DOCKER_HUB: Final = "registry-1.docker.io"
_DEFAULT: Final = "_default"
_FILE: Final = "hosts.toml"
_CAPABILITIES: Final = frozenset({"pull", "resolve", "push"})
_KEYS: Final = frozenset({"capabilities", "ca", "override_path", "skip_verify"})
_API: Final = "/v2"


class RegistryHostsError(Exception):
    """The operator's configuration of a registry cannot be used; the text names the file."""


class RegistryHost(msgspec.Struct, frozen=True, kw_only=True):
    """One place to ask. `api` is the address in front of the repository."""

    netloc: str
    api: str
    ca_files: tuple[str, ...] = ()
    resolves: bool = True
    pulls: bool = True
    is_mirror: bool = False
    """Others' credentials are not for it."""

    @property
    def is_plain(self) -> bool:
        return self.api.startswith("http:")


def hosts_of(
    registry: str, folder: Path | None, plain: Collection[str]
) -> tuple[RegistryHost, ...]:
    """Return the mirrors of a registry in their order, and the registry last."""
    netloc = _DOCKER_HUB if registry == DEFAULT_REGISTRY else registry
    scheme = "http" if netloc in plain else "https"
    origin = RegistryHost(netloc=netloc, api=f"{scheme}://{netloc}{_API}")
    own = _folder_of(registry, folder)
    if own is None:
        return (origin,)
    origin = msgspec.structs.replace(origin, ca_files=_certificates(own))
    file = own / _FILE
    return _configured(file, origin) if file.is_file() else (origin,)


def ca_files_of(netloc: str, folder: Path | None) -> tuple[str, ...]:
    """Return the certificates for a host that a registry sends to."""
    own = _folder_of(netloc, folder)
    return () if own is None else _certificates(own)


def _folder_of(registry: str, folder: Path | None) -> Path | None:
    if folder is None or registry.startswith("."):
        return None
    host, colon, port = registry.rpartition(":")
    names = [registry, f"{host}_{port}_" if colon else registry, _DEFAULT]
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _certificates(own: Path) -> tuple[str, ...]:
    return tuple(str(path) for path in sorted(own.glob("*.crt")))


def _configured(file: Path, origin: RegistryHost) -> tuple[RegistryHost, ...]:
    try:
        document = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RegistryHostsError(f"{file}: {error}") from error
    tables = document.pop("host", {})
    server = document.pop("server", "")
    if not isinstance(tables, Mapping) or not isinstance(server, str):
        raise RegistryHostsError(f'{file}: "host" has to be a table, "server" a text')
    own_ca = origin.ca_files
    mirrors = [_host(file, url, table, own_ca) for url, table in tables.items()]
    if not server and not document:
        return (*mirrors, origin)
    last = _host(file, server or origin.api, document, own_ca)
    is_mirror = last.netloc != origin.netloc
    return (*mirrors, msgspec.structs.replace(last, is_mirror=is_mirror))


def _host(file: Path, url: str, table: Any, ca_files: tuple[str, ...]) -> RegistryHost:
    def wrong(problem: str) -> RegistryHostsError:
        return RegistryHostsError(f'{file}: "{url}": {problem}')

    if not isinstance(table, Mapping):
        raise wrong("is not a table")
    unknown = sorted(table.keys() - _KEYS)
    if unknown:
        raise wrong(f"{', '.join(unknown)} is not supported")
    if table.get("skip_verify"):
        raise wrong('skip_verify is not supported: name the CA by "ca"')
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in {"http", "https"} or not parts.netloc or "@" in parts.netloc:
        raise wrong("is not the address of a registry")
    abilities = table.get("capabilities", ["pull", "resolve"])
    if not isinstance(abilities, list) or not _CAPABILITIES.issuperset(abilities):
        raise wrong("capabilities are pull, resolve and push")
    path = parts.path.rstrip("/")
    if not table.get("override_path") and not path.endswith(_API):
        path += _API
    return RegistryHost(
        netloc=parts.netloc,
        api=f"{parts.scheme}://{parts.netloc}{path}",
        ca_files=(*ca_files, *_named(file, table.get("ca", []), wrong)),
        resolves="resolve" in abilities,
        pulls="pull" in abilities,
        is_mirror=True,
    )


def _named(file: Path, said: Any, wrong: Any) -> tuple[str, ...]:
    names = [said] if isinstance(said, str) else said
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise wrong("ca has to be a file, or a list of files")
    paths = [file.parent / name for name in names]
    for path in paths:
        if not path.is_file():
            raise wrong(f"there is no file {path}")
    return tuple(map(str, paths))
