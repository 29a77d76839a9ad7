"""The word that joins a machine, and what the machine's disk gets of it."""

import hashlib
import stat
from pathlib import Path

import pytest

from contract.ids import NodeName
from contract.subjects import Role
from wasmlet.__main__ import main
from wasmlet.errors import UsageError
from wasmlet.node.enrolment import Enrolment, read_word
from wasmlet.node.joining import _write
from wasmlet.node.machine_files import EXECUTOR_USER, LOG_SERVER_USER, Machine, files

ENROLMENT = Enrolment(
    node=NodeName("edge.example"),
    server="https://10.0.0.1:6443",
    authority="-----BEGIN CERTIFICATE-----\n",
    token="abcdef.0123456789abcdef",
    nats_url="tls://nats.example:4222",
    nats_authority="-----BEGIN CERTIFICATE-----\nbus",
    bus_secret="long-and-random",
)
IDENTITY = b"-----BEGIN PRIVATE KEY-----\n"


def test_a_word_is_one_word_and_comes_back_whole() -> None:
    word = ENROLMENT.word()
    assert len(word.split()) == 1
    assert read_word(f" {word}\n") == ENROLMENT
    assert ENROLMENT.token not in repr(ENROLMENT)
    assert ENROLMENT.bus_secret not in repr(ENROLMENT)


@pytest.mark.parametrize("broken", ["", "wasmlet1.", "x", "ä", ENROLMENT.word()[:-9]])
def test_half_a_word_is_refused_and_not_repeated(broken: str) -> None:
    with pytest.raises(UsageError) as refusal:
        read_word(broken)
    assert not broken or broken not in str(refusal.value)


def test_each_service_shows_something_else_and_the_cluster_keeps_digests_alone() -> None:
    executor, log_server = (
        ENROLMENT.credential(role) for role in (Role.WASM_EXECUTOR, Role.LOG_SERVER)
    )
    assert executor != log_server
    assert ENROLMENT.digests() == {
        "wasm-executor-edge_example": hashlib.sha256(executor.encode()).hexdigest(),
        "log-server-edge_example": hashlib.sha256(log_server.encode()).hexdigest(),
    }


def test_each_service_reads_its_own_credentials_and_the_units_hold_none() -> None:
    made = files(ENROLMENT, IDENTITY, Machine(address="192.0.2.7"))
    secrets = [
        ENROLMENT.credential(Role.WASM_EXECUTOR).encode(),
        ENROLMENT.credential(Role.LOG_SERVER).encode(),
        IDENTITY,
    ]
    for path, file in made.items():
        held = [secret for secret in secrets if secret in file.content]
        assert ENROLMENT.token.encode() not in file.content
        assert ENROLMENT.bus_secret.encode() not in file.content
        if held:
            owner = EXECUTOR_USER if "/executor/" in path else LOG_SERVER_USER
            assert (file.mode, file.owner) == (0o600, owner), path
            assert secrets[0] not in held or owner == EXECUTOR_USER
    told = made["etc/wasmlet/log-server/env"].content.decode().splitlines()
    assert "WASMLET_NODE_ADDRESS=192.0.2.7" in told
    assert "WASMLET_CERTIFICATE_MODE=csr" in told
    assert b"KUBECONFIG" not in made["etc/wasmlet/executor/env"].content


def test_a_file_is_never_readable_for_others_on_its_way(tmp_path: Path) -> None:
    made = files(ENROLMENT, IDENTITY, Machine(root=f"{tmp_path}/"))
    for path, file in made.items():
        _write(tmp_path / path, file, owned=False)
        written = (tmp_path / path).stat()
        assert stat.S_IMODE(written.st_mode) == file.mode, path
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["enrol", "A_B", "--kubeconfig", "k", "--nats", "n"], "not a node name"),
        (["enrol", "a" * 53, "--kubeconfig", "k", "--nats", "n"], "no node name of more than 52"),
        (["enrol", "a", "--kubeconfig", "k", "--nats", "n", "--hours", "0"], "--hours"),
        (["enrol", "a", "--kubeconfig", "/missing", "--nats", "n"], "cannot enrol a"),
        (["join", "word"], "no whole word"),
        (["renew", "--root", "/missing"], "no identity of a node"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["node", *arguments]) in (1, 2)
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
