"""What CI makes of tests that fail: a race is told apart from a fault, and nothing is lost."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PART: Final = "some-part"
PASSES: Final = "def test_passes(): pass\n"
RACES: Final = """
from pathlib import Path

def test_races():
    before = Path("before")
    known = before.exists()
    before.touch()
    assert known
"""
BROKEN: Final = "def test_is_broken(): assert not 'mended'\n"
DIES: Final = "import os\n\ndef test_dies(): os._exit(1)\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with our conftest and nothing else of ours."""
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    return tmp_path


def test_what_fails_once_and_passes_alone_is_named_and_accepted(project: Path) -> None:
    run_part(project, PASSES + RACES)
    again = failed_again(project)
    assert again.returncode == 0
    assert "to be mended:\n  test_it.py::test_races" in again.stdout
    assert "test_passes" not in again.stdout


def test_what_fails_twice_is_broken(project: Path) -> None:
    run_part(project, PASSES + RACES + BROKEN)
    assert failed_again(project).returncode == 1


def test_a_part_that_died_is_not_made_good_by_what_failed_before_it_died(project: Path) -> None:
    run_part(project, RACES)
    (project / "before").unlink()
    run_part(project, RACES + DIES)
    again = failed_again(project)
    assert again.returncode == 1
    assert f"{PART} did not come to its end" in again.stderr


def test_a_part_that_never_began_is_not_made_good(project: Path) -> None:
    again = failed_again(project)
    assert again.returncode == 1
    assert f"{PART} did not come to its end" in again.stderr


def test_much_that_fails_is_no_race(project: Path) -> None:
    many = "".join(f"def test_{number}(): assert False\n" for number in range(9))
    run_part(project, many)
    again = failed_again(project)
    assert again.returncode == 1
    assert "9 tests failed" in again.stderr


def test_a_failure_that_no_test_shows_is_not_made_good(project: Path) -> None:
    run_part(project, PASSES)
    again = failed_again(project)
    assert again.returncode == 1
    assert "no test is on record as failed" in again.stderr


def run_part(project: Path, tests: str) -> None:
    (project / "test_it.py").write_text(tests)
    cache = f"cache_dir=.pytest_cache/{PART}"
    run(project, "-m", "pytest", "-o", cache)


def failed_again(project: Path) -> subprocess.CompletedProcess[str]:
    return run(project, str(ROOT / "dev/failed_again.py"), PART)


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The outer pytest's own variables would be taken for the inner one's.
    inner = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=inner,
        capture_output=True,
        text=True,
        check=False,
    )
