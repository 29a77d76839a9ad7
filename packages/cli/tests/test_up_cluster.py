"""`wasmlet up --kubeconfig` where something is wrong: one line, before anything is half done."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest


def up(kubeconfig: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wasmlet", "up", "--kubeconfig", str(kubeconfig), *options]
    command += ["--data-dir", str(kubeconfig.parent / "data")]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# Not a kubeconfig\n\n- [a: {", "kubeconfig"),
        ("apiVersion: v1\nkind: Config\n", "no current context"),
        ("just text", "it holds no mapping"),
    ],
)
def test_a_bad_kubeconfig_is_one_line(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    done = up(file, "--kubelet-port", "0")
    assert done.returncode == 1
    assert done.stderr.startswith("wasmlet: ")
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cluster_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = tmp_path / "config"
    file.write_text(
        "{apiVersion: v1, kind: Config, current-context: c,"
        f" clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}],"
        " contexts: [{name: c, context: {cluster: c, user: u}}],"
        " users: [{name: u, user: {}}]}"
    )
    done = up(file, "--kubelet-port", "0")
    assert done.returncode == 1
    assert done.stderr.startswith("wasmlet: cannot prepare the cluster: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_kubelet_port_is_refused_before_a_node_is_made(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.touch()
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = up(file, "--kubelet-port", str(port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"wasmlet: port {port} cannot be used (")
    assert "--kubelet-port 0" in done.stderr
