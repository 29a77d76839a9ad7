"""What is left of last words once they are read: nothing, whatever a guest made of them."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from last_words_desk import RUN, UID, C, Desk

from contract.ids import PodUid
from contract.messages.pod import ContainerPlan
from wasm_executor.supervisor.pods.lastwords import FOLDER


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_nothing_of_a_dropped_run_is_left_and_its_siblings_stay(desk: Desk) -> None:
    file = desk.prepare()
    container = ContainerPlan(name=C, image="x")
    (next_run,) = desk.words.prepare(UID, container, RUN + 1)
    (other_pod,) = desk.words.prepare(PodUid("other"), container, RUN)
    desk.words.take_run(UID, C, RUN)
    desk.words.empty()
    assert not file.parent.exists()
    assert Path(next_run.host_path).is_dir()
    desk.words.drop(UID)
    assert not Path(next_run.host_path).exists()
    assert [Path(other_pod.host_path).name] == left(desk)
    desk.words.drop(UID)


def test_folders_deeper_than_descriptors_reach_are_removed(desk: Desk, tmp_path: Path) -> None:
    file = desk.prepare()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    at = os.open(file.parent, os.O_RDONLY)
    for number in range(1500):
        os.symlink(elsewhere, f"link{number}", dir_fd=at)
        os.mkdir("deeper" * 20, dir_fd=at)
        below = os.open("deeper" * 20, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    with few_descriptors():
        desk.words.drop(UID)
    assert left(desk) == []
    assert (elsewhere / "kept").exists()


def test_what_one_life_did_not_finish_the_next_removal_does(desk: Desk) -> None:
    unfinished = desk.settings.data_dir / FOLDER / ".removed" / "unfinished"
    (unfinished / "deep" / "er").mkdir(parents=True)
    desk.words.take_run(UID, C, RUN)
    desk.words.empty()
    assert left(desk) == []


def left(desk: Desk) -> list[str]:
    """Return what is on the disk, half-removed folders included."""
    folder = desk.settings.data_dir / FOLDER
    found = [each.name for each in (*folder.iterdir(), *(folder / ".removed").iterdir())]
    found.remove(".removed")
    return found


@contextmanager
def few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
