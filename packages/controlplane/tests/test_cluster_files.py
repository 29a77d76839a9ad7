"""Whose kubeconfig a new cluster may replace: nobody's that is in use, and no stranger's."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controlplane import probing
from controlplane.certificates import Authority
from controlplane.cluster import require_replaceable
from controlplane.errors import KubeconfigInUseError
from controlplane.kubeconfigs import Kubeconfigs
from controlplane.ports import free_ports


@contextmanager
def tls_server(authority: Authority) -> Iterator[int]:
    """Shakes hands on a port of this machine, as an API server does first."""
    pair = authority.issue("server", name="server", hosts=["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) as stream:
                    stream.recv(1)
            except OSError:  # the client hung up, as it does on a stranger's certificate
                return

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def kubeconfig(folder: Path, authority: Authority, port: int) -> Path:
    cluster = Kubeconfigs(f"https://127.0.0.1:{port}", authority.pair.certificate)
    return cluster.with_token(folder / "kubeconfig", "admin", "a-token")


def test_that_of_a_living_cluster_stays(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    with tls_server(authority) as port:
        path = kubeconfig(tmp_path, authority, port)
        with pytest.raises(KubeconfigInUseError, match=r"running.*--kubeconfig FILE") as refusal:
            require_replaceable(path)
    assert "\n" not in str(refusal.value)


def test_that_of_a_frozen_cluster_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "ANSWER_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        path = kubeconfig(tmp_path, Authority(tmp_path, "ca"), silent.getsockname()[1])
        with pytest.raises(KubeconfigInUseError):
            require_replaceable(path)


def is_replaceable(path: Path) -> bool:
    try:
        require_replaceable(path)
    except KubeconfigInUseError:
        return False
    return True


def test_that_of_a_dead_cluster_is_replaced(tmp_path: Path) -> None:
    assert is_replaceable(kubeconfig(tmp_path, Authority(tmp_path, "ca"), free_ports(1)[0]))


def test_another_cluster_on_the_port_of_a_dead_one_does_not_save_its_file(tmp_path: Path) -> None:
    with tls_server(Authority(tmp_path, "other")) as port:
        assert is_replaceable(kubeconfig(tmp_path, Authority(tmp_path, "ca"), port))


def test_a_strangers_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("apiVersion: v1\nkind: Config\nclusters:\n- name: work\n")
    with pytest.raises(KubeconfigInUseError, match="not written by this command"):
        require_replaceable(path)


def test_a_folder_is_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigInUseError, match="cannot be read"):
        require_replaceable(tmp_path)


def test_no_file_is_free(tmp_path: Path) -> None:
    assert is_replaceable(tmp_path / "none")
