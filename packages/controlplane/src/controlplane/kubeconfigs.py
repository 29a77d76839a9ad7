"""Kubeconfig files with everything inside, readable by their owner only."""

import base64
import os
from pathlib import Path

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
