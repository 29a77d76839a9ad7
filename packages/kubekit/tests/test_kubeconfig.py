"""Kubeconfigs and service accounts: what is read from where, and what is said of mistakes."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kubekit.client import api_client
from kubekit.errors import KubeconfigError
from kubekit.kubeconfig import Connection, in_cluster, parse_kubeconfig, read_kubeconfig
from kubekit.testing import RecordedServer, json_reply

FILE = Path("/etc/k/config")


def document(cluster: Any = None, user: Any = None) -> dict[str, Any]:
    return {
        "current-context": "c",
        "contexts": [
            {"name": "other", "context": {"cluster": "x", "user": "x"}},
            {"name": "c", "context": {"cluster": "s", "user": "u"}},
        ],
        "clusters": [{"name": "s", "cluster": cluster or {"server": "https://h:6443/"}}],
        "users": [{"name": "u", "user": user or {}}],
    }


def test_paths_are_relative_to_the_file_and_data_is_decoded() -> None:
    cluster = {
        "server": "https://h:6443/k8s/clusters/x/",
        "certificate-authority": "ca.crt",
        "tls-server-name": "api",
        "proxy-url": "http://proxy:3128",
        "insecure-skip-tls-verify": True,
    }
    user = {
        "client-certificate": "/abs/me.crt",
        "client-key-data": base64.b64encode(b"KEY").decode(),
        "tokenFile": "token",
    }
    assert parse_kubeconfig(document(cluster, user), FILE) == Connection(
        server="https://h:6443/k8s/clusters/x",
        authority=Path("/etc/k/ca.crt"),
        certificate=Path("/abs/me.crt"),
        key=b"KEY",
        token_file=Path("/etc/k/token"),
        verify=False,
        server_name="api",
        proxy="http://proxy:3128",
    )


def test_inline_data_and_tokens_win_over_files() -> None:
    cluster = {
        "server": "https://h",
        "certificate-authority": "ca.crt",
        "certificate-authority-data": base64.b64encode(b"CA").decode(),
    }
    connection = parse_kubeconfig(document(cluster, {"token": "t", "tokenFile": "f"}), FILE)
    assert (connection.authority, connection.token, connection.token_file) == (b"CA", "t", None)


def test_a_connection_does_not_show_its_secrets() -> None:
    assert "s3cret" not in repr(Connection(server="https://h", token="s3cret", key=b"s3cret"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "kubeconfig"),
        ("[]", "no mapping"),
        ("{}", "no current context"),
        (json.dumps(document() | {"current-context": "none"}), "no context named 'none'"),
        (json.dumps(document() | {"clusters": None}), "no cluster named 's'"),
        (json.dumps(document() | {"users": []}), "no user named 'u'"),
        (json.dumps(document({"certificate-authority": "x"})), "has no server"),
        (json.dumps(document(user={"client-key-data": "%%%"})), "not base64"),
        (json.dumps(document() | {"contexts": ["c"]}), "malformed"),
        (json.dumps(document({"server": 6443})), "malformed"),
        (json.dumps(document(user={"client-key": 1})), "malformed"),
        (json.dumps(document({"server": "https://[h"})), "no server"),
        (json.dumps(document({"server": "https://h:port"})), "no server"),
        (json.dumps(document({"server": "h:6443"})), "want https://HOST"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(KubeconfigError, match=message):
        read_kubeconfig(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="config: "):
        read_kubeconfig(tmp_path / "config")


@pytest.mark.parametrize(("host", "server"), [("10.0.0.1", "10.0.0.1"), ("fd00::1", "[fd00::1]")])
def test_a_pod_finds_its_api_server(tmp_path: Path, host: str, server: str) -> None:
    (tmp_path / "token").write_text("t")
    environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"}
    assert in_cluster(environ, tmp_path) == Connection(
        server=f"https://{server}:443",
        authority=tmp_path / "ca.crt",
        token_file=tmp_path / "token",
    )


def test_outside_a_pod_a_kubeconfig_is_needed(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="KUBERNETES_SERVICE_HOST"):
        in_cluster({}, tmp_path)
    environ = {"KUBERNETES_SERVICE_HOST": "h", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(KubeconfigError, match="no service account token"):
        in_cluster(environ, tmp_path)


def exec_user(script: str) -> dict[str, Any]:
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": ["-c", script],
        }
    }


def write(path: Path, server: str, user: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document({"server": server}, user)))
    return path


async def test_a_plugin_gives_the_token(server: RecordedServer, tmp_path: Path) -> None:
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "from-plugin"},
    }
    user = exec_user(f"print({json.dumps(json.dumps(credential))})")
    server.will("get", json_reply({}))
    async with api_client(write(tmp_path / "c", server.url, user), user_agent="t") as api:
        await api.request("GET", "/x")

    assert server.asked[0].headers["Authorization"] == "Bearer from-plugin"


async def test_a_plugin_that_fails_is_no_reason_to_go_on_as_nobody(
    server: RecordedServer, tmp_path: Path
) -> None:
    config = write(tmp_path / "c", server.url, exec_user("raise SystemExit(1)"))
    with pytest.raises(KubeconfigError, match="the plugin gave neither"):
        async with api_client(config, user_agent="t"):
            pytest.fail("the body was entered")


async def test_a_plugin_is_refused_in_one_line_where_none_can_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in the images, which leave the client library out.
    monkeypatch.setitem(sys.modules, "kubernetes.aio", None)
    config = write(tmp_path / "c", "http://127.0.0.1:1", exec_user("pass"))
    with pytest.raises(KubeconfigError, match="runs no credential plugins"):
        async with api_client(config, user_agent="t"):
            pytest.fail("the body was entered")
