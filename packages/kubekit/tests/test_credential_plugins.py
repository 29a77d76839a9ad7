"""Credential plugins: run once for all who wait, in nobody's way, and asked again in time."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from controlplane.certificates import Authority
from kubekit import credentials
from kubekit.client import Api, api_client
from kubekit.credentials import PluginCredential
from kubekit.errors import UnauthorizedError, UnreachableError
from kubekit.kubeconfig import Connection
from kubekit.testing import RecordedServer, json_reply
from kubekit.tls import TlsContext

API_VERSION = "client.authentication.k8s.io/v1"
AT_ONCE = 20

RUN = """
import json, os, pathlib, time
folder = pathlib.Path({folder!r})
with (folder / "runs").open("a") as runs:
    runs.write(str(os.getpid()) + "\\n")
count = len((folder / "runs").read_text().split())
until = time.monotonic() + 60
while count > 1 and not (folder / "go").exists() and time.monotonic() < until:
    time.sleep(0.01)
status = json.loads({status!r}.replace("COUNT", str(count)))
print(json.dumps(dict(apiVersion={version!r}, kind="ExecCredential", status=status)))
"""


def kubeconfig(folder: Path, server: str, status: dict[str, str]) -> Path:
    """One whose plugin answers at once the first time, and then only when there is a `go`."""
    script = RUN.format(folder=str(folder), status=json.dumps(status), version=API_VERSION)
    plugin = {"apiVersion": API_VERSION, "command": sys.executable, "args": ["-c", script]}
    document: dict[str, Any] = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "s", "user": "u"}}],
        "clusters": [{"name": "s", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"exec": plugin}}],
    }
    config = folder / "kubeconfig"
    config.write_text(json.dumps(document))
    return config


def processes(folder: Path) -> list[int]:
    return [int(each) for each in (folder / "runs").read_text().split()]


def runs(folder: Path) -> int:
    return len(processes(folder))


def left_over(folder: Path) -> list[int]:
    return [each for each in processes(folder) if Path(f"/proc/{each}").exists()]


async def asked(api: Api, timeout_s: float) -> int:
    """How many of many requests at once were answered; the others ended in their time."""
    answered = 0

    async def ask() -> None:
        nonlocal answered
        try:
            await api.request("GET", "/x", timeout_s=timeout_s)
        except UnreachableError:
            return
        answered += 1

    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        for index in range(AT_ONCE):
            tasks.create_task(ask(), name=f"ask-{index}")
    return answered


async def test_a_plugin_that_hangs_holds_no_request_and_runs_once_for_all(
    server: RecordedServer, tmp_path: Path
) -> None:
    for _ in range(AT_ONCE):
        server.will("get", json_reply({}))
    config = kubeconfig(tmp_path, server.url, {"token": "token-COUNT"})
    async with api_client(config, user_agent="t") as api:
        assert await asked(api, timeout_s=0.5) == 0
        (tmp_path / "go").touch()
        assert await asked(api, timeout_s=20) == AT_ONCE

    assert runs(tmp_path) == 2
    assert {each.headers["Authorization"] for each in server.asked} == {"Bearer token-2"}


async def test_a_plugin_that_hangs_ends_with_its_client(
    server: RecordedServer, tmp_path: Path
) -> None:
    config = kubeconfig(tmp_path, server.url, {"token": "token-COUNT"})
    async with api_client(config, user_agent="t") as api:
        async with asyncio.timeout(30):
            while runs(tmp_path) < 2:
                assert await asked(api, timeout_s=0.2) == 0
    assert left_over(tmp_path) == []


async def test_a_plugin_that_takes_too_long_is_ended_and_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    config = kubeconfig(tmp_path, "https://127.0.0.1:1", {"token": "token-COUNT"})
    credential = PluginCredential(config, lambda: now_s, lambda *_: None)
    first = await credential.header()
    assert first is not None
    credential.forget(first)
    with monkeypatch.context() as patched:
        patched.setattr(credentials, "PLUGIN_TIMEOUT_S", 1.0)
        with pytest.raises(UnauthorizedError, match="did not end"):
            await credential.header()
    assert left_over(tmp_path) == []
    count = runs(tmp_path)
    (tmp_path / "go").touch()
    with pytest.raises(UnauthorizedError, match="did not end"):
        await credential.header()
    now_s += credentials.PLUGIN_PAUSE_S
    assert await credential.header() == f"Bearer token-{count + 1}"


async def test_requests_that_meet_a_401_together_ask_the_plugin_once(
    server: RecordedServer, tmp_path: Path
) -> None:
    (tmp_path / "go").touch()
    config = kubeconfig(tmp_path, server.url, {"token": "token-COUNT"})
    credential = PluginCredential(config, lambda: 0.0, lambda *_: None)
    first = await credential.header()
    assert first == "Bearer token-1"
    for _ in range(3):
        credential.forget(first)
        assert await credential.header() == "Bearer token-2"


async def test_a_certificate_of_a_plugin_is_renewed_and_not_asked_for_by_each_request(
    tmp_path: Path,
) -> None:
    (tmp_path / "go").touch()
    status = {"clientCertificateData": "certificate-COUNT", "clientKeyData": "key-COUNT"}
    clock, shown = iter((0.0, 1.0, 601.0, 601.0, 602.0)), list[str]()

    def present(certificate: Path, key: Path) -> None:
        shown.append(f"{certificate.read_text()} {key.read_text()}")

    config = kubeconfig(tmp_path, "https://127.0.0.1:1", status)
    credential = PluginCredential(config, lambda: next(clock), present)
    for _ in range(4):
        assert await credential.header() is None
    assert shown == ["certificate-1 key-1", "certificate-2 key-2"]


def test_a_renewed_certificate_is_shown_from_the_next_handshake_on(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    old, new = (authority.issue(name, name="me") for name in ("old", "new"))
    connection = Connection(server="https://127.0.0.1:1", certificate=old.certificate, key=old.key)
    tls = TlsContext(connection, lambda: 0.0)
    before = tls.current()
    tls.present(old.certificate, old.key)
    assert tls.current() is before
    tls.present(new.certificate, new.key)
    assert tls.current() is not before
