"""What an `up` leaves that is killed with -9, and who clears it away."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

ENDS = '(module (func (export "_start")))'
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a private folder is made below it


class Machine:
    """Folders of its own for everything that an `up` makes, so that no other is seen or swept."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        self.manifests = folder / "manifests"
        self.temporary = folder / "temporary"
        for each in (self.manifests, self.temporary):
            each.mkdir()
        self.runtime = runtime
        (self.manifests / "ends.wat").write_text(ENDS)
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p"},
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "file:ends.wat"}],
            },
        }
        (self.manifests / "p.yaml").write_text(yaml.safe_dump(pod))

    @contextmanager
    def up(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Run one until the block ends; it is ready when this begins."""
        with subprocess.Popen(
            self._command(*options), env=self._environ(), stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                assert any("is Ready" in line for line in process.stdout)
                yield process
            finally:
                process.send_signal(signal.SIGINT)
                process.communicate()

    def killed(self, *options: str) -> set[Path]:
        """Kill one with -9; return what it made."""
        before = self.folders()
        with self.up(*options) as process:
            process.kill()
            process.wait()
        return self.folders() - before

    def complete(self) -> None:
        """Run one from its start to its end."""
        subprocess.run(
            self._command("--until-complete"), env=self._environ(), check=True, capture_output=True
        )

    def folders(self) -> set[Path]:
        return {*self.runtime.iterdir(), *self.temporary.glob("wasmlet-*")}

    def _command(self, *options: str) -> list[str]:
        manifests = ("--manifests", str(self.manifests))
        return [sys.executable, "-m", "wasmlet", "up", *manifests, *options]

    def _environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "TMPDIR": str(self.temporary),
            "XDG_RUNTIME_DIR": str(self.runtime),
        }


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY, prefix="leftovers-") as runtime:
        yield Machine(tmp_path, Path(runtime))


def test_the_next_up_removes_the_folders_of_one_that_was_killed(machine: Machine) -> None:
    assert len(machine.killed()) == 2  # secrets on tmpfs, modules and logs on disk
    machine.complete()
    assert machine.folders() == set()


def test_the_folders_of_one_that_lives_stay(machine: Machine) -> None:
    with machine.up():
        in_use = {each for folder in machine.folders() for each in folder.glob("[!.]*")}
        assert "up.lock" in {each.name for each in in_use}
        machine.complete()
        assert {each for each in in_use if not each.exists()} == set()


def test_what_goes_on_from_lasting_data_stays(machine: Machine, tmp_path: Path) -> None:
    left = machine.killed("--data-dir", str(tmp_path / "data"))
    machine.complete()
    assert machine.folders() == left
    assert len(left) == 1


def test_what_no_up_of_ours_has_locked_stays(machine: Machine) -> None:
    other = machine.runtime / f"wasmlet-{os.getuid()}-0123456789ab"
    other.mkdir(mode=0o700)
    precious = machine.temporary / "precious"
    precious.mkdir()
    forged = machine.runtime / f"wasmlet-{os.getuid()}-ba9876543210"
    forged.mkdir(mode=0o700)
    (forged / "up.lock").write_text(str(precious))
    machine.complete()
    assert other.exists()
    assert precious.exists()
