"""The service as a process: readiness by what it needs, one line for a wrong setting, clean end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from reconciler_peer import NODE

from contract.subjects import Role
from embedded_nats import EmbeddedNats


@contextmanager
def service(**settings: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "pod_reconciler"],
        env=os.environ | {f"WASMLET_{name}": value for name, value in settings.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def admin_url(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    for line in process.stdout:
        record = json.loads(line)
        if record["event"] == "admin.listening":
            return f"http://127.0.0.1:{record['port']}"
    raise AssertionError("the admin port never listened")


def answers(url: str, status: int, text: str) -> None:
    """Wait until /readyz says so."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        answer = httpx.get(f"{url}/readyz")
        if (answer.status_code, answer.text) == (status, text):
            return
        time.sleep(0.05)
    raise AssertionError(
        f"/readyz never said {status} {text}, but {answer.status_code} {answer.text}"
    )


def bus(server: EmbeddedNats) -> dict[str, str]:
    return {
        "NATS_URL": server.url,
        "NATS_PASSWORD_FILE": str(server.password_file(Role.POD_RECONCILER)),
    }


def test_it_is_ready_while_the_bus_stands_and_ends_cleanly(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    with (
        EmbeddedNats(tmp_path / "nats", [NODE]) as server,
        service(MANIFESTS=str(tmp_path / "manifests"), **bus(server)) as process,
    ):
        url = admin_url(process)
        answers(url, 200, "ok")
        server.kill()
        answers(url, 503, "NATS is away")
        server.start()
        answers(url, 200, "ok")
        assert "wasmlet_status_writes_total" in httpx.get(f"{url}/metrics").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_it_is_not_ready_while_the_api_server_is_away(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, current-context: x,"
        " clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}],"
        " users: [{name: u, user: {}}], contexts: [{name: x, context: {cluster: c, user: u}}]}"
    )
    with (
        EmbeddedNats(tmp_path / "nats", [NODE]) as server,
        service(KUBECONFIG=str(kubeconfig), **bus(server)) as process,
    ):
        answers(admin_url(process), 503, "the API server is away")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_neither_cluster_nor_folder_is_one_clear_line(tmp_path: Path) -> None:
    with EmbeddedNats(tmp_path / "nats", [NODE]) as server, service(**bus(server)) as process:
        out, err = process.communicate(timeout=20)
        assert process.returncode == 2
        assert out == ""
        assert err == "pod-reconciler: WASMLET_KUBECONFIG or WASMLET_MANIFESTS must be set\n"


def test_a_kubeconfig_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    with (
        EmbeddedNats(tmp_path / "nats", [NODE]) as server,
        service(KUBECONFIG=str(tmp_path / "nowhere"), **bus(server)) as process,
    ):
        out, err = process.communicate(timeout=30)
        assert process.returncode == 1
        assert err == ""
        (failed,) = [
            record for line in out.splitlines() if (record := json.loads(line))["level"] == "error"
        ]
        assert failed["event"] == "service.failed"
        assert str(tmp_path / "nowhere") in failed["reason"]
        assert "Traceback" not in out
