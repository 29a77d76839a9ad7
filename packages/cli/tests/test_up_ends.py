"""`wasmlet up` whose terminal is closed, or whose reader has ended: it stops in order."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wasmlet.up.folders import run_folders

type Up = subprocess.Popen[str]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """One that is ready, without pods; its services tell all that they do."""
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    command = [sys.executable, "-m", "wasmlet", "up", "--manifests", str(manifests)]
    command += ["--data-dir", str(tmp_path / "data"), "--log-level", "info"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert any("is Ready" in line for line in process.stdout)
            yield process
        finally:
            process.kill()


def assert_ended_well(up: Up, data: Path) -> None:
    assert up.stderr is not None
    assert (up.wait(40), up.stderr.read()) == (0, "")
    assert not list(run_folders(data)), "secrets stay behind"


def test_one_whose_reader_is_gone_stops_as_it_would(up: Up, tmp_path: Path) -> None:
    """As under `| tee log`, which the same Ctrl-C ends."""
    assert up.stdout is not None
    up.stdout.close()
    up.send_signal(signal.SIGINT)
    assert_ended_well(up, tmp_path / "data")


def test_a_closed_terminal_stops_it_in_order(up: Up, tmp_path: Path) -> None:
    up.send_signal(signal.SIGHUP)
    assert up.stdout is not None
    up.stdout.read()
    assert_ended_well(up, tmp_path / "data")


def test_nohup_keeps_it_from_that(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    command = ["nohup", sys.executable, "-m", "wasmlet", "up", "--manifests", str(manifests)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert any("is Ready" in line for line in process.stdout)
            process.send_signal(signal.SIGHUP)
            (manifests / "wrong.yaml").write_text("apiVersion: v1\nkind: Secret\n")
            assert any("wrong.yaml" in line for line in process.stdout), "it looks no more"
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0
        finally:
            process.kill()
