"""`wasmlet doctor` on what it can see without a cluster: kernel, bus, registry, certificates."""

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from self_signed import self_signed

from contract.ids import NodeName
from contract.subjects import Role
from controlplane import Registry
from embedded_nats import EmbeddedNats
from kubekit.testing import Reply, recorded_server, write_kubeconfig
from wasmlet.doctor.arguments import DoctorOptions
from wasmlet.doctor.certificates import certificate_finding
from wasmlet.doctor.cluster import clock_finding
from wasmlet.doctor.findings import Level, problem
from wasmlet.doctor.kernel import kernel_findings, landlock_finding
from wasmlet.doctor.kubeletcertificates import pair_fault
from wasmlet.doctor.running import _of_cluster

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def doctor(*options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "wasmlet", "doctor", *options]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]}
    )
    return answer.returncode, answer.stdout + answer.stderr


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path / "nats", [NodeName("n")]) as server:
        yield server


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_bus_that_lets_a_service_in_is_well(nats: EmbeddedNats) -> None:
    password = nats.password_file(Role.LOG_SERVER)
    login = ("--bus-user", "log-server", "--bus-password-file", str(password))
    code, said = doctor("--no-kernel", "--bus", nats.url, *login)
    assert code == 0
    assert "lets in log-server" in said
    assert said.endswith("0 broken, 0 to look at, 1 well\n")


def test_of_several_servers_one_that_is_up_is_enough(nats: EmbeddedNats) -> None:
    """They are given as the services are told them, and tried in any order."""
    away = ",".join(f"nats://127.0.0.1:{free_port()}" for _ in range(4))
    code, said = doctor("--no-kernel", "--bus", f"{away},{nats.url}")
    assert (code, "lets in nobody without a credential" in said) == (0, True), said


def test_a_bus_without_a_credential_is_asked_no_more_than_that(nats: EmbeddedNats) -> None:
    code, said = doctor("--no-kernel", "--bus", nats.url)
    assert (code, "lets in nobody without a credential" in said) == (0, True)


def test_a_wrong_password_and_a_bus_that_is_away_are_told_apart(
    nats: EmbeddedNats, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    login = ("--bus-user", "log-server", "--bus-password-file", str(wrong))
    code, said = doctor("--no-kernel", "--bus", nats.url, *login)
    assert (code, "it refuses log-server: compare the password" in said) == (1, True)
    code, said = doctor("--no-kernel", "--bus", f"nats://127.0.0.1:{free_port()}")
    assert (code, "not reached" in said) == (1, True)


def test_a_registry_is_asked_as_a_pull_begins(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as registry:
        code, said = doctor("--no-kernel", "--insecure-registry", registry.host)
        assert (code, f"ok       registry {registry.host}: answers" in said) == (0, True)
        code, said = doctor("--no-kernel", "--registry", registry.host)
        assert code == 1
        assert "it speaks no TLS" in said
        assert "WASMLET_INSECURE_REGISTRIES" in said
    code, said = doctor("--no-kernel", "--registry", f"127.0.0.1:{free_port()}", "-o", "json")
    (finding,) = json.loads(said)
    assert (code, finding["level"]) == (1, "problem")
    assert "not reached" in finding["found"]


def test_a_wrong_usage_is_two(tmp_path: Path) -> None:
    assert doctor("--bus-user", "log-server")[0] == 2
    assert doctor("--no-kernel")[0] == 2
    login = ("--bus-user", "a", "--bus-password-file", str(tmp_path / "missing"))
    code, said = doctor("--no-kernel", "--bus", "nats://127.0.0.1:1", *login)
    assert (code, "--bus-password-file" in said) == (2, True)


def test_a_kubeconfig_that_is_no_such_thing_is_a_finding(tmp_path: Path) -> None:
    code, said = doctor("--no-kernel", "--kubeconfig", str(tmp_path / "missing"))
    assert code == 1
    assert "problem  kubeconfig" in said


def test_a_finding_is_one_line_whatever_somebody_else_has_answered() -> None:
    page = problem("api server", "502: <html>\n  <h1>Bad\x1b[2J</h1>\n", "look")
    assert page.line() == "problem  api server: 502: <html> <h1>Bad?[2J</h1> : look"


async def test_an_api_server_that_is_none_is_a_finding(tmp_path: Path) -> None:
    async with recorded_server() as server:
        server.will("get", Reply(chunks=(b"<html>hello</html>",)))
        config = write_kubeconfig(tmp_path / "config", server.url)
        options = DoctorOptions(kubeconfig=config)
        found = [each async for each in _of_cluster(options)]
    assert [(each.about, each.found) for each in found] == [
        ("api server", "its answer is no API server's")
    ]


def test_a_registry_whose_name_is_none_is_a_finding() -> None:
    code, said = doctor("--no-kernel", "--registry", "a..b")
    assert (code, "problem  registry a..b: not reached" in said) == (1, True), said


def test_a_reader_who_has_had_enough_ends_it_without_a_word() -> None:
    command = [sys.executable, "-m", "wasmlet", "doctor"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait(30)) == (b"", 141)


def machine(root: Path, **files: str) -> dict[str, tuple[Level, str]]:
    """What is found of a machine whose kernel shows these files."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = list(kernel_findings(root))
    return {each.about: (each.level, each.found) for each in found if each.about != "landlock"}


def test_a_machine_with_everything_is_well(tmp_path: Path) -> None:
    files = {
        "proc__sys__kernel__seccomp__actions_avail": "kill",
        "sys__fs__cgroup__cgroup.controllers": "cpuset cpu memory pids",
        "proc__mounts": "tmpfs /run tmpfs rw 0 0\n",
        "proc__swaps": "Filename Type\n",
    }
    assert {level for level, _ in machine(tmp_path, **files).values()} == {Level.OK}


def test_each_thing_that_a_machine_lacks_is_found(tmp_path: Path) -> None:
    found = machine(tmp_path / "bare", proc__swaps="Filename Type\n/swap.img file\n")
    assert found["cgroup"][0] is Level.WARNING
    assert found["seccomp"][0] is Level.WARNING
    assert found["tmpfs"][0] is Level.PROBLEM
    assert found["swap"] == (Level.WARNING, "/swap.img")
    partly = machine(tmp_path / "partly", **{"sys__fs__cgroup__cgroup.controllers": "cpu"})
    assert partly["cgroup"] == (Level.WARNING, "version 2 without memory")
    assert [landlock_finding(abi).level for abi in (0, 1, 3)] == ["warning", "warning", "ok"]


@pytest.mark.parametrize(
    ("begins", "ends", "level"),
    [
        (-10, 90, Level.OK),
        (-95, 5, Level.WARNING),
        (-100, -1, Level.PROBLEM),
        (1, 100, Level.PROBLEM),
    ],
)
def test_a_certificate_is_judged_by_its_share_of_life(begins: int, ends: int, level: Level) -> None:
    signed = self_signed("log-server", NOW + timedelta(days=begins), NOW + timedelta(days=ends))
    pem = signed.certificate.decode()
    assert certificate_finding("port", pem, "renew it", NOW).level is level


P256 = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"


def test_a_certificate_that_cannot_be_read_is_a_finding() -> None:
    signed = self_signed("log-server", NOW, NOW + timedelta(days=1))
    pem = signed.certificate.decode()
    der = ssl.PEM_cert_to_DER_cert(pem)
    undated = ssl.DER_cert_to_PEM_cert(der.replace(b"\x17\x0d2606", b"\x17\x0d2699"))
    finding = certificate_finding("port", undated, "renew it", NOW)
    assert (finding.level, "cannot be read" in str(finding)) == (Level.PROBLEM, True)
    curve = ssl.DER_cert_to_PEM_cert(der.replace(P256, P256[:-1] + b"\x06"))
    assert pair_fault(curve.encode(), signed.key).startswith("its tls.crt cannot be used")
    assert not pair_fault(pem.encode(), signed.key)


def test_clocks_are_compared_with_the_api_servers_answer() -> None:
    date = "Mon, 01 Jun 2026 12:00:00 GMT"
    levels = [clock_finding(date, NOW + timedelta(seconds=s)).level for s in (1, 5, 60, -60)]
    assert levels == ["ok", "warning", "problem", "problem"]
    assert clock_finding("yesterday", NOW).level is Level.WARNING
