"""The word that joins a machine, and what the machine's disk gets of it."""

import base64
import datetime as dt
import hashlib
import io
import os
import stat
import termios
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import msgspec
import pytest

from contract.ids import NodeName
from contract.subjects import Role
from wasmlet.__main__ import main
from wasmlet.errors import UsageError
from wasmlet.node import joining
from wasmlet.node.asking import word_from
from wasmlet.node.enrolment import Enrolment, read_word
from wasmlet.node.joining import JoinOptions, _write
from wasmlet.node.machine_files import (
    EXECUTOR_USER,
    KUBECONFIG,
    LOG_SERVER_USER,
    Machine,
    MachineFile,
    files,
    hidden,
)

ENROLMENT = Enrolment(
    node=NodeName("edge.example"),
    server="https://10.0.0.1:6443",
    authority="-----BEGIN CERTIFICATE-----\n",
    token="abcdef.0123456789abcdef",
    nats_url="tls://nats.example:4222",
    nats_authority="-----BEGIN CERTIFICATE-----\nbus",
    bus_secret="long-and-random",
)
ENROL = ["enrol", "a", "--kubeconfig", "k", "--nats", "nats://n"]
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
    end = "2026-06-01T12:00:00Z"
    assert ENROLMENT.digests(dt.datetime.fromisoformat(end)) == {
        "wasm-executor-edge_example": f"{hashlib.sha256(executor.encode()).hexdigest()} {end}",
        "log-server-edge_example": f"{hashlib.sha256(log_server.encode()).hexdigest()} {end}",
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


def test_a_file_is_never_readable_for_others_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its first byte is written it has no more than its mode, with whatever umask."""
    born: list[int] = []

    def noting(descriptor: int, mode: str) -> IO[bytes]:
        born.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return open(descriptor, mode)

    made = files(ENROLMENT, IDENTITY, Machine(root=f"{tmp_path}/"))
    monkeypatch.setattr(os, "fdopen", noting)
    before = os.umask(0)
    try:
        for path, file in made.items():
            _write(tmp_path / path, file, owned=False)
            written = (tmp_path / path).stat()
            assert stat.S_IMODE(written.st_mode) == file.mode, path
            assert born[-1] & ~file.mode == 0, path
    finally:
        os.umask(before)
    assert len(born) == len(made)
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    "options", [JoinOptions(machine=Machine()), JoinOptions(machine=Machine(), start=False)]
)
def test_files_of_this_system_have_their_owners_whether_it_is_started_or_not(
    options: JoinOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(joining, "_run", lambda *command: done.append(command[0]))
    monkeypatch.setattr(
        joining, "_write", lambda path, _, owned: done.append(f"{path.name} {owned}")
    )
    made = files(ENROLMENT, IDENTITY, Machine())
    joining._install(made, options)
    assert done[:2] == ["wasmlet.conf False", "systemd-sysusers"], "users come before their files"
    assert "token True" in done
    assert ("systemctl" in done) == options.start


def test_a_link_that_a_service_puts_into_its_folder_leads_root_nowhere(tmp_path: Path) -> None:
    """A machine that joins again writes where the service could write before."""
    (tmp_path / "victim").write_text("whole")
    folder = tmp_path / "executor"
    folder.mkdir()
    for name in (".token.partial", "token"):
        (folder / name).symlink_to(tmp_path / "victim")
    _write(folder / "token", MachineFile(content=b"new", mode=0o600), owned=False)
    assert (tmp_path / "victim").read_text() == "whole"
    assert (folder / "token").read_text() == "new"
    assert not (folder / "token").is_symlink()


def test_a_cluster_whose_authority_every_machine_knows_needs_no_file(tmp_path: Path) -> None:
    enrolment = msgspec.structs.replace(ENROLMENT, authority="")
    made = files(enrolment, IDENTITY, Machine(root=f"{tmp_path}/"))
    assert "etc/wasmlet/cluster-ca.crt" not in made
    assert "certificate-authority" not in made[KUBECONFIG].content.decode()
    assert "etc/wasmlet/bus-ca.crt" in made


def test_folders_can_be_gone_through_whatever_roots_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with joining._others_may_pass():
            _write(tmp_path / "etc/wasmlet/executor/token", MachineFile(content=b""), owned=False)
        (tmp_path / "after").mkdir()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in ("etc", "etc/wasmlet")]
    assert modes == [0o755, 0o755]
    assert stat.S_IMODE((tmp_path / "after").stat().st_mode) == 0o700


def test_a_python_that_the_units_would_not_see_is_found() -> None:
    assert hidden(["/opt/wasmlet/bin/python", "/usr/bin/python3", "/rooted/python"]) is None
    for path in ("/root/.venv/bin/python", "/home/a/python", "/run/user/0/python", "/root"):
        assert hidden(["/usr/bin/python3", path]) == path


def test_a_word_of_any_length_is_read_from_a_terminal_and_not_shown() -> None:
    master, slave = os.openpty()
    word = "w" * 9000
    with ThreadPoolExecutor(1) as threads, os.fdopen(slave, "r") as stdin:
        reading = threads.submit(word_from, stdin)
        deadline = time.monotonic() + 30
        while termios.tcgetattr(slave)[3] & termios.ICANON:
            assert time.monotonic() < deadline
        rest = f"{word[:-1]}x\x7fw\n".encode()
        while rest:
            rest = rest[os.write(master, rest) :]
        assert reading.result(30) == word
        assert termios.tcgetattr(slave)[3] & (termios.ICANON | termios.ECHO)
        os.set_blocking(master, False)
        with pytest.raises(BlockingIOError):
            os.read(master, 1)
    os.close(master)


def test_a_word_from_a_pipe_is_one_line() -> None:
    assert word_from(io.StringIO("word\nmore\n")) == "word\n"


def test_a_word_that_swells_is_refused() -> None:
    swollen = base64.urlsafe_b64encode(zlib.compress(b" " * 200_000_000, 9)).decode()
    with pytest.raises(UsageError):
        read_word(f"wasmlet1.{swollen}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["enrol", "A_B", *ENROL[2:]], "not a node name"),
        (
            ["enrol", "a" * 53, *ENROL[2:]],
            "no node name of more than 52",
        ),
        ([*ENROL, "--hours", "0"], "--hours"),
        ([*ENROL, "--hours", "1e12"], "--hours"),
        ([*ENROL, "--hours", "nan"], "--hours"),
        ([*ENROL, "--kubeconfig", "/missing"], "cannot enrol a"),
        ([*ENROL, "--nats", "n:4222"], "--nats: 'n:4222' is no tls://"),
        ([*ENROL, "--nats", "tls://a,tls://b\nA=1"], "--nats: "),
        (["join", "word"], "no whole word"),
        (["join", ENROLMENT.word(), "--address", "edge"], "--address: 'edge' does not"),
        (["join", ENROLMENT.word(), "--kubelet-port", "-1"], "--kubelet-port: -1 is no port"),
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
