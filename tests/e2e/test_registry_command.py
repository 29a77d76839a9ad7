"""`make registry`: says how it is used, does what it says, and leaves nothing after Ctrl-C."""

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from e2e import guests
from e2e.expectations import eventually
from e2e.foreground import in_foreground
from e2e.processes import process_of

HOST = r"127\.0\.0\.1:\d+"


def ready_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def push_as_told(line: str, folder: Path) -> str:
    """Runs the push that the line shows; returns the image name by digest."""
    told = re.search(rf"\.venv/bin/wasmlet (push FILE\.wasm {HOST}/NAME:TAG --insecure);", line)
    assert told, line
    module = folder / "hello.wasm"
    module.write_bytes(guests.exits(0))
    words = shlex.split(told[1].replace("NAME:TAG", "hello:1"))
    words[words.index("FILE.wasm")] = str(module)
    return subprocess.check_output([sys.executable, "-m", "wasmlet", *words], text=True).strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_registry_says_how_to_use_it_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "a folder"
    with in_foreground(folder, "registry", "--port", "0") as process:
        line = ready_line(process)
        host = re.search(rf"make join REGISTRY=({HOST})", line)
        assert host, line
        assert push_as_told(line, tmp_path).startswith(f"{host[1]}/hello@sha256:")
        (program,) = process_of(process.pid).children()
        process.send_signal(number)
        assert process.wait(20) == 0
    assert not program.lives
    assert list(folder.iterdir()) == []


def test_a_killed_registry_leaves_no_process(tmp_path: Path) -> None:
    with in_foreground(tmp_path, "registry", "--port", "0") as process:
        ready_line(process)
        (program,) = process_of(process.pid).children()
        process.kill()
        eventually(lambda: not program.lives)


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with in_foreground(tmp_path / "first", "registry", "--port", "0") as first:
        port = re.findall(rf"REGISTRY={HOST}", ready_line(first))[0].rpartition(":")[2]
        with in_foreground(tmp_path / "second", "registry", "--port", port) as second:
            output, errors = second.communicate(timeout=20)
        assert second.returncode == 1
        assert output == ""
        (line,) = errors.splitlines()
        assert f"127.0.0.1:{port}" in line
        assert "--port PORT" in line


def test_a_data_directory_keeps_what_was_pushed_and_the_port_is_free_at_once(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "data"
    with in_foreground(tmp_path, "registry", "--port", "0", "--data-dir", str(data_dir)) as first:
        name = push_as_told(ready_line(first), tmp_path)
        host = name.partition("/")[0]
        first.send_signal(signal.SIGINT)
        assert first.wait(20) == 0
    port = host.partition(":")[2]
    with in_foreground(tmp_path, "registry", "--port", port, "--data-dir", str(data_dir)) as second:
        assert f"REGISTRY={host}" in ready_line(second)
        answer = httpx.get(f"http://{host}/v2/hello/tags/list", trust_env=False)
        assert answer.json()["tags"] == ["1"]
