"""The job `files`: one credential per container, made once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from compose_jobs.errors import JobError
from compose_jobs.files import Request, make_files
from cryptography import x509

FOLDERS = (
    "control-plane",
    "etcd",
    "nats",
    "registry",
    "executors",
    "node-registrar",
    "pod-reconciler",
    "log-server",
)


@pytest.fixture
def request_of_three(tmp_path: Path) -> Request:
    for name in FOLDERS:
        (tmp_path / "made" / name).mkdir(parents=True)
    (tmp_path / "out").mkdir()
    return Request(
        made=tmp_path / "made",
        out=tmp_path / "out",
        owner=tmp_path,
        executors=3,
        api_port=6443,
        user=os.getuid(),
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_each_consumer_gets_its_own_credentials(request_of_three: Request) -> None:
    make_files(request_of_three)
    made = request_of_three.made
    bus = json.loads((made / "nats" / "nats.json").read_text())
    passwords = {user["user"]: user["password"] for user in bus["authorization"]["users"]}
    assert len(passwords) == 6
    for name in ("node-registrar", "pod-reconciler", "log-server"):
        assert sorted(contents(made / name)) == ["bus-ca.crt", "bus.password", "kubeconfig"]
        assert (made / name / "bus.password").read_text() == passwords[name]
        assert "https://kube-apiserver:6443" in (made / name / "kubeconfig").read_text()
    for node in ("wasm-1", "wasm-2", "wasm-3"):
        given = (made / "executors" / f"{node}.password").read_text()
        assert given == passwords[f"wasm-executor-{node}"]
    for path in (made / "nats" / "nats.json", made / "log-server" / "kubeconfig"):
        assert path.stat().st_mode & 0o077 == 0
    assert sorted(contents(made / "nats")) == ["ca.crt", "nats.crt", "nats.json", "nats.key"]


def test_servers_are_known_by_the_names_that_containers_call_them_by(
    request_of_three: Request,
) -> None:
    make_files(request_of_three)
    made = request_of_three.made
    for file, names in (
        ("control-plane/pki/apiserver.crt", {"kube-apiserver", "localhost", "kubernetes"}),
        ("control-plane/pki/etcd.crt", {"etcd"}),
        ("nats/nats.crt", {"nats"}),
    ):
        certificate = x509.load_pem_x509_certificate((made / file).read_bytes())
        known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert names <= set(known.value.get_values_for_type(x509.DNSName))


def test_the_bus_takes_the_configuration(request_of_three: Request) -> None:
    make_files(request_of_three)
    server = Path(sys.executable).parent / "nats-server"
    folder = request_of_three.made / "nats"
    config = folder / "here.json"  # with paths as they are here, not in the container
    config.write_text((folder / "nats.json").read_text().replace('"/nats/', f'"{folder}/'))
    answer = subprocess.run(
        [server, "-t", "-c", config], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(config.read_text())["listen"] == "0.0.0.0:4222"


def test_a_second_run_keeps_all_and_follows_the_port(request_of_three: Request) -> None:
    make_files(request_of_three)
    before = contents(request_of_three.made)
    kubeconfig = request_of_three.out / "compose" / "kubeconfig"
    assert "https://127.0.0.1:6443" in kubeconfig.read_text()
    again = msgspec.structs.replace(request_of_three, api_port=7443)
    make_files(again)
    assert contents(request_of_three.made) == before
    assert "https://127.0.0.1:7443" in kubeconfig.read_text()


def test_a_run_that_was_killed_is_begun_anew(request_of_three: Request) -> None:
    (request_of_three.made / "nats" / "half").touch()
    (request_of_three.made / "control-plane" / "pki").mkdir()
    make_files(request_of_three)
    assert "half" not in contents(request_of_three.made / "nats")
    assert "nats.json" in contents(request_of_three.made / "nats")


def test_more_executors_than_the_bus_has_users_for_are_refused(request_of_three: Request) -> None:
    make_files(request_of_three)
    more = msgspec.structs.replace(request_of_three, executors=4)
    with pytest.raises(JobError, match=r"for 3 executors, not for 4: .*down --volumes"):
        make_files(more)
