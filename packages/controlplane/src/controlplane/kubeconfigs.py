"""Kubeconfig files with everything inside, readable by their owner only."""

import base64
import binascii
import os
import re
from pathlib import Path

import msgspec

from controlplane.certificates import KeyPair

_TEMPLATE = """\
apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: {name}
  user:
{credentials}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {name}
current-context: {name}
"""

_HEAD = re.compile(
    _TEMPLATE.partition("users:")[0].format(
        name=r"\S+", server=r"https://127\.0\.0\.1:(\d+)", authority=r"(\S+)"
    )
)


class Cluster(msgspec.Struct, frozen=True):
    """Where a kubeconfig's API server listens, and by what its certificate is known (PEM)."""

    port: int
    authority: str


def read_cluster(text: str) -> Cluster | None:
    """The cluster of a kubeconfig that `Kubeconfigs` wrote; None for anybody else's."""
    head = _HEAD.match(text)
    if head is None:
        return None
    port, authority = head.groups()
    try:
        return Cluster(int(port), base64.b64decode(authority, validate=True).decode("ascii"))
    except (binascii.Error, UnicodeDecodeError):
        return None


class Kubeconfigs:
    """Writes kubeconfigs of one cluster."""

    def __init__(self, server: str, authority: Path) -> None:
        self._server = server
        self._authority = authority

    def with_certificate(self, path: Path, name: str, pair: KeyPair) -> Path:
        lines = f"    client-certificate-data: {_base64(pair.certificate)}\n"
        lines += f"    client-key-data: {_base64(pair.key)}"
        return self._write(path, name, lines)

    def with_token(self, path: Path, name: str, token: str) -> Path:
        return self._write(path, name, f"    token: {token}")

    def _write(self, path: Path, name: str, credentials: str) -> Path:
        text = _TEMPLATE.format(
            name=name,
            server=self._server,
            authority=_base64(self._authority),
            credentials=credentials,
        )
        return write_private(path, text)


def write_private(path: Path, text: str) -> Path:
    """Writes a file of mode 0600 whole: a reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    return draft.rename(path)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
