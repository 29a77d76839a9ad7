"""`wasmlet push` against a real registry: over HTTP, over TLS, with a login."""

import base64
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.registry import Registry
from wasmlet.artifact import parse_target
from wasmlet.uploading import PushRegistry

MODULE = bytes.fromhex("0061736d 01000000")
COMPONENT = bytes.fromhex("0061736d 0d000100")
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"

type Push = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "hello.wasm"
    path.write_bytes(MODULE)
    return path


@pytest.fixture
def push(tmp_path: Path) -> Push:
    """Run the command as a user whose home is empty."""

    def run(*arguments: object, home: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "wasmlet", "push", *map(str, arguments)],
            env={**os.environ, "HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def manifest_of(reference: str) -> tuple[dict[str, Any], bytes]:
    """Fetch a manifest by digest, and the content of its config."""
    name, digest = reference.strip().split("@")
    host, repository = name.split("/", 1)
    base = f"http://{host}/v2/{repository}"
    asked = urllib.request.Request(  # noqa: S310  # the test's own registry
        f"{base}/manifests/{digest}", headers={"Accept": MANIFEST_TYPE}
    )
    with urllib.request.urlopen(asked) as answer:  # noqa: S310  # ditto
        manifest = json.load(answer)
    config_url = f"{base}/blobs/{manifest['config']['digest']}"
    with urllib.request.urlopen(config_url) as answer:  # noqa: S310  # ditto
        return manifest, answer.read()


@pytest.mark.parametrize(("content", "system"), [(MODULE, "wasip1"), (COMPONENT, "wasip2")])
def test_pushed_file_is_a_cncf_wasm_artifact(
    registry: Registry, push: Push, tmp_path: Path, content: bytes, system: str
) -> None:
    path = tmp_path / "app.wasm"
    path.write_bytes(content)
    done = push(path, f"{registry.host}/team/{system}:v1", "--insecure")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{registry.host}/team/{system}@sha256:")
    manifest, config = manifest_of(done.stdout)
    (layer,) = manifest["layers"]
    assert manifest["config"]["mediaType"] == "application/vnd.wasm.config.v0+json"
    assert layer["mediaType"] == "application/wasm"
    assert layer["size"] == len(content)
    seen = json.loads(config)
    assert seen["architecture"] == "wasm"
    assert seen["os"] == system
    assert seen["layerDigests"] == [layer["digest"]]
    assert seen["created"].endswith("Z")


def test_pushing_again_uploads_nothing_and_names_the_same_digest(
    registry: Registry, push: Push, module: Path
) -> None:
    first = push(module, f"{registry.host}/again", "--insecure")
    second = push(module, f"{registry.host}/again", "--insecure")
    assert first.stdout == second.stdout != ""
    assert "already there" in second.stderr


def test_a_pipe_gets_plain_lines_without_control_characters(
    registry: Registry, push: Push, tmp_path: Path
) -> None:
    path = tmp_path / "large.wasm"
    path.write_bytes(MODULE + os.urandom(3 << 20))
    done = push(path, f"{registry.host}/large", "--insecure")
    assert "pushing large.wasm: 3.0 MiB\npushed large.wasm: 3.0 MiB\n" in done.stderr
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr


def test_a_plain_registry_is_refused_without_insecure(
    registry: Registry, push: Push, module: Path
) -> None:
    done = push(module, f"{registry.host}/plain")
    assert done.returncode == 1
    assert "the registry speaks plain HTTP: use --insecure" in done.stderr.splitlines()[-1]


def test_a_private_ca_is_trusted_when_named(push: Push, module: Path, tmp_path: Path) -> None:
    with Registry(tmp_path / "tls", tls=True) as secure:
        refused = push(module, f"{secure.host}/x")
        taken = push(module, f"{secure.host}/x", "--ca-file", secure.authority)
        assert refused.returncode == 1
        assert "certificate is not trusted: name its CA with --ca-file" in refused.stderr
        assert taken.returncode == 0, taken.stderr


def test_a_registry_with_login_takes_the_credentials_of_docker_login(
    push: Push, module: Path, tmp_path: Path
) -> None:
    with Registry(tmp_path / "login", login=True) as private:
        assert private.login is not None
        refused = push(module, f"{private.host}/x", "--insecure")
        assert refused.returncode == 1
        assert f"access denied (401): log in with `docker login {private.host}`" in refused.stderr
        home = tmp_path / "home"
        (home / ".docker").mkdir(parents=True)
        pair = base64.b64encode(":".join(private.login).encode()).decode()
        config = {"auths": {private.host: {"auth": pair}}}
        (home / ".docker" / "config.json").write_text(json.dumps(config))
        taken = push(module, f"{private.host}/x", "--insecure", home=home)
        assert taken.returncode == 0, taken.stderr


def test_a_broken_docker_configuration_is_one_line(
    push: Push, module: Path, tmp_path: Path
) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text("{")
    done = push(module, "127.0.0.1:1/x")
    assert done.returncode == 1
    assert "cannot read the logins in ~/.docker/config.json" in done.stderr.splitlines()[-1]


def test_the_login_of_docker_hub_is_found_where_docker_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".docker").mkdir()
    config = {"auths": {"https://index.docker.io/v1/": {"auth": "bWU6c2VjcmV0"}}}
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("HOME", str(tmp_path))
    hub = PushRegistry(parse_target("docker.io/team/app"), insecure=False, ca_file=None)
    other = PushRegistry(parse_target("ghcr.io/team/app"), insecure=False, ca_file=None)
    assert hub.auth._basic_auth == "bWU6c2VjcmV0"
    assert not hasattr(other.auth, "_basic_auth")


def test_an_unreachable_registry_is_one_line_at_once(push: Push, module: Path) -> None:
    with socket.socket() as bound:  # bound and not listening: refuses
        bound.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{bound.getsockname()[1]}"
        done = push(module, f"{host}/x", "--insecure")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"wasmlet: cannot push {host}/x:latest: connection refused"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"#!/bin/sh\n", "is not WebAssembly"),
        (b"\0asm\x09\0\0\0", "is neither a WebAssembly module nor a component"),
        (None, "cannot read"),
    ],
)
def test_a_file_that_is_no_wasm_is_refused_before_any_request(
    push: Push, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "bad.wasm"
    if content is not None:
        path.write_bytes(content)
    done = push(path, "127.0.0.1:1/x")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert words in line


@pytest.mark.parametrize("reference", ["hello", "team/hello:1", "localhost/UPPER", "h.io/a:b:c"])
def test_a_reference_without_registry_or_grammar_is_a_usage_error(
    push: Push, module: Path, reference: str
) -> None:
    done = push(module, reference)
    assert done.returncode == 2
    assert "want HOST[:PORT]/NAME[:TAG]" in done.stderr
