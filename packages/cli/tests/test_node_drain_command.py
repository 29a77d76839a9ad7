"""`wasmlet node drain`: which node it finds, what it says, with which code it ends."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from wasmlet.errors import CommandLineError, UsageError
from wasmlet.node.arguments import DrainOptions
from wasmlet.node.finding import reach
from wasmlet.up.folders import run_folders

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
NODE = "edge-1"


class Up:
    """A `wasmlet up` of one sleeping pod; its lines as they come."""

    def __init__(self, process: subprocess.Popen[str], data: Path) -> None:
        self.process = process
        self.data = data
        self._lines: list[str] = []

    def await_line(self, text: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"it ended without {text!r}: {''.join(self._lines)}")

    def await_running(self) -> None:
        (run,) = run_folders(self.data)
        deadline = time.monotonic() + 20
        while "Running" not in (run / "status.json").read_text():
            assert time.monotonic() < deadline, "the pod never ran"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One for three tests: what is refused, the drain, and what is left when it is killed."""
    manifests = tmp_path_factory.mktemp("manifests")
    (manifests / "sleeps.wat").write_text(SLEEPS)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "sleeper"},
        "spec": {"containers": [{"name": "main", "image": "file:sleeps.wat"}]},
    }
    (manifests / "pod.yaml").write_text(yaml.safe_dump(pod))
    data = tmp_path_factory.mktemp("up") / "data"
    command = [sys.executable, "-m", "wasmlet", "up", "--manifests", str(manifests)]
    command += ["--data-dir", str(data), "--node-name", NODE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(150, process.kill)
        watchdog.start()
        try:
            running = Up(process, data)
            running.await_line("is Ready")
            running.await_running()
            yield running
        finally:
            watchdog.cancel()
            process.kill()


def drain(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wasmlet", "node", "drain", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def test_another_node_than_the_one_that_runs_is_refused_and_nothing_ends(up: Up) -> None:
    done = drain("--data-dir", str(up.data), "--node", "edge-2")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"wasmlet: no node edge-2 runs here with the data folder {up.data}\n"
    up.await_running()


def test_a_drain_tells_each_step_and_the_node_stays_up_without_its_pods(up: Up) -> None:
    done = drain("--data-dir", str(up.data), "--grace", "10")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{NODE}: the node is shutting down: ending 1 pod within 10 s",
        f"{NODE}: pod default/sleeper has ended",
        f"{NODE}: drained 1 pod",
    ]
    up.await_line("Pod was terminated in response to imminent node shutdown.")
    assert up.process.poll() is None
    assert "drained 0 pods" in drain("--data-dir", str(up.data), "--node", NODE).stdout


def test_an_executor_that_does_not_listen_is_away(up: Up) -> None:
    up.process.send_signal(signal.SIGKILL)  # its folders stay
    up.process.wait()
    done = drain("--data-dir", str(up.data))
    assert (done.returncode, done.stderr) == (1, f"wasmlet: the executor of {NODE} is away\n")


def test_without_any_node_it_is_one_line(tmp_path: Path) -> None:
    done = drain("--data-dir", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == f"wasmlet: no node runs here with the data folder {tmp_path}\n"
    done = drain("--data-dir", str(tmp_path / "none"))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


@pytest.mark.parametrize("grace", ["-1", "inf", "nan", "1e300"])
def test_a_grace_that_is_none_is_a_wrong_usage(grace: str) -> None:
    done = drain(f"--grace={grace}", "--data-dir", "/nowhere")
    assert (done.returncode, done.stderr) == (
        2,
        "wasmlet: --grace must be from 0 to 31536000 seconds\n",
    )


# Which of several: real sockets, with nobody who would obey behind them.


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with ExitStack() as stack:
        yield stack


def listen(stack: ExitStack, root: Path, run: str, node: str) -> Path:
    folder = root / f"wasmlet-{os.getuid()}-{run}" / "nodes" / node
    folder.mkdir(parents=True)
    server = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    opened = os.open(folder, os.O_PATH)
    server.bind(f"/proc/self/fd/{opened}/control.sock")
    os.close(opened)
    server.listen()
    return folder


def test_of_several_nodes_the_named_one_is_meant(listening: ExitStack, tmp_path: Path) -> None:
    for node in ("here-1", "here-2"):
        listen(listening, tmp_path, f"a-{node}", node)
    with pytest.raises(UsageError, match=r"several nodes run here \(.*here-1, here-2.*\): give"):
        reach(DrainOptions())
    reached = reach(DrainOptions(node="here-2"))
    assert reached.node == "here-2"
    reached.connection.close()


def test_two_nodes_of_one_name_are_told_apart_by_their_data(
    listening: ExitStack, tmp_path: Path
) -> None:
    for run in ("a", "b"):
        listen(listening, tmp_path, run, "twin-here")
    with pytest.raises(UsageError, match="several nodes twin-here run here: give --data-dir"):
        reach(DrainOptions(node="twin-here"))


def test_what_is_left_of_a_killed_up_does_not_stand_in_the_way(
    listening: ExitStack, tmp_path: Path
) -> None:
    with ExitStack() as dead:
        listen(dead, tmp_path, "a", "left-here")
    listen(listening, tmp_path, "b", "left-here")
    reached = reach(DrainOptions(node="left-here"))
    assert reached.node == "left-here"
    reached.connection.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can look as somebody else")
def test_a_node_of_another_user_is_not_permitted(
    listening: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = listen(listening, Path("/dev/shm"), f"test-{tmp_path.name}", "not-ours")  # noqa: S108 - the place of such folders
    run = folder.parent.parent
    run.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    os.seteuid(65534)
    try:
        with pytest.raises(CommandLineError, match="belongs to another user"):
            reach(DrainOptions(node="not-ours"))
    finally:
        os.seteuid(0)
        subprocess.run(["rm", "-r", str(run)], check=True)
