"""Certificates that strict verifiers accept, and files that only their owner reads."""

import socket
import ssl
import stat
import threading
from pathlib import Path

import yaml

from controlplane.certificates import Authority
from controlplane.kubeconfigs import Kubeconfigs, write_private


def test_a_chain_passes_pythons_strict_verification(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("server", name="server", hosts=("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    client = ssl.create_default_context(cafile=str(authority.pair.certificate))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve_once, args=(listener, context))
        thread.start()
        with (
            socket.create_connection(listener.getsockname()) as plain,
            client.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            assert secure.recv(2) == b"ok"
        thread.join()


def _serve_once(listener: socket.socket, context: ssl.SSLContext) -> None:
    plain, _ = listener.accept()
    with context.wrap_socket(plain, server_side=True) as secure:
        secure.sendall(b"ok")


def test_keys_and_kubeconfigs_are_private(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("user", name="somebody", groups=("group",))
    kubeconfigs = Kubeconfigs("https://127.0.0.1:1", authority.pair.certificate)
    path = kubeconfigs.with_certificate(tmp_path / "folder" / "kubeconfig", "somebody", pair)
    for private in (pair.key, authority.pair.key, path):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert yaml.safe_load(path.read_text())["current-context"] == "somebody"


def test_writing_over_an_open_file_gives_a_private_one(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
