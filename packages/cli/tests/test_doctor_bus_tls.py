"""`wasmlet doctor` before a bus that speaks TLS."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.certificates import Authority
from embedded_nats import EmbeddedNats


class SecuredNats(EmbeddedNats):
    """The same server with a certificate."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder, [])
        self._pair = authority.issue("bus", name="nats", hosts=["127.0.0.1"])

    def _configuration(self, ports: Path) -> str:
        config = json.loads(super()._configuration(ports))
        tls = {"cert_file": str(self._pair.certificate), "key_file": str(self._pair.key)}
        return json.dumps(config | {"tls": tls})


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "bus-ca")


@pytest.fixture
def server(tmp_path: Path, authority: Authority) -> Iterator[SecuredNats]:
    with SecuredNats(tmp_path / "nats", authority) as server:
        yield server


def doctor(*options: str) -> tuple[int, dict[str, str]]:
    """Exit code, and per thing that was looked at its line."""
    command = [sys.executable, "-m", "wasmlet", "doctor", "--no-kernel", *options]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]}
    )
    assert not answer.stderr
    lines = answer.stdout.splitlines()[:-1]
    return answer.returncode, {line[9:].split(": ")[0]: line for line in lines}


def test_its_authority_is_trusted_and_its_certificates_age_is_told(
    server: SecuredNats, authority: Authority
) -> None:
    url = server.url.replace("nats://", "tls://")
    code, said = doctor("--bus", url, "--bus-ca", str(authority.pair.certificate))
    assert code == 0
    assert said[f"bus {url}"].startswith("ok")
    assert "its certificate holds until" in said[f"certificate of {url}"]


def test_without_its_authority_it_is_not_trusted(server: SecuredNats) -> None:
    url = server.url.replace("nats://", "tls://")
    code, said = doctor("--bus", url)
    assert code == 1
    assert "its TLS is not trusted" in said[f"bus {url}"]
    assert "--bus-ca FILE" in said[f"bus {url}"]
    assert said[f"certificate of {url}"].startswith("ok")


def test_a_bus_without_tls_has_no_certificate(tmp_path: Path) -> None:
    with EmbeddedNats(tmp_path / "plain", []) as plain:
        code, said = doctor("--bus", plain.url)
    assert (code, list(said)) == (0, [f"bus {plain.url}"])


@pytest.mark.parametrize("url", ["nats://127.0.0.1:1", "nats://[", "127.0.0.1:x"])
def test_a_bus_that_is_no_server_is_one_finding(url: str) -> None:
    code, said = doctor("--bus", url)
    assert (code, len(said)) == (1, 1)
