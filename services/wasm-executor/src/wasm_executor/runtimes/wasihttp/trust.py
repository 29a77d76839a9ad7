"""Whom handlers' own requests trust over TLS: the machine's certificates, or the container's own.

As most programs have it, the variable `SSL_CERT_FILE` of the container's environment names a file
with certificates instead, in one of its mounts. It is read once: when it is
first needed, or before a worker of CGI handlers serves. A file that is not there, or that holds
none, leaves nobody to trust. What it says around its certificates may be in any language.
"""

import os
import ssl
from collections.abc import Iterable, Sequence
from typing import Final

from wasm_executor.runtimes.wasihttp.files import Descriptor
from wasm_executor.runtimes.wasihttp.saying import say

CERTIFICATES: Final = "SSL_CERT_FILE"
MOST_BYTES: Final = 4 * 1024 * 1024


class Trust:
    """What all requests of a worker share: certificates are read once."""

    def __init__(self, path: str | None, folders: Sequence[tuple[Descriptor, str]]) -> None:
        self._path = path
        self._folders = folders
        self._made: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        if self._made is None:
            self._made = self._make()
        return self._made

    def _make(self) -> ssl.SSLContext:
        if self._path is None:
            return ssl.create_default_context()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=self._read(self._path))
        except (OSError, ValueError) as error:
            say(f"no certificates are trusted: {CERTIFICATES}={self._path}: {error}")
        return context

    def _read(self, path: str) -> str:
        """Read a file of the mounts by its path there."""
        around = [each for each in self._folders if _is_below(path, each[1])]
        if not around:
            raise FileNotFoundError(2, "it is in none of the container's mounts")
        folder, root = max(around, key=lambda each: len(each[1]))
        nothing = frozenset[str]()
        inner = path[len(root.rstrip("/")) :].lstrip("/")
        found = folder.open(inner, follow=True, making=nothing, wanted=nothing)
        try:
            return os.read(found.fd, MOST_BYTES).decode("ascii", "ignore")
        finally:
            found.drop()


def trust_of(env: Iterable[tuple[str, str]], folders: Sequence[tuple[Descriptor, str]]) -> Trust:
    """Return whom a container trusts."""
    return Trust(dict(env).get(CERTIFICATES), folders)


def _is_below(path: str, root: str) -> bool:
    return path.startswith(root.rstrip("/") + "/")
