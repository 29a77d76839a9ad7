"""How much an emptyDir holds, however it is laid out."""

import os
from pathlib import Path

from volume_rig import VolumeRig, container, pod

from contract.messages.volume import EmptyDir
from wasm_executor.volumes.measuring import MAX_DEPTH, measure

BIG = 1024 * 1024


def deep(folder: Path, depth: int) -> int:
    """A nest deeper than paths reach; a descriptor of its last folder."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("n" * 20, dir_fd=here)
        inner = os.open("n" * 20, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    return here


def put(folder: int, name: str, size: int) -> None:
    Path(f"/proc/self/fd/{folder}/{name}").write_bytes(b"x" * size)


async def test_only_volumes_with_a_limit_are_measured(rig: VolumeRig) -> None:
    plan = pod(container(), e=EmptyDir(size_limit_bytes=BIG), other=EmptyDir())
    await rig.volumes.prepare(plan)
    (rig.empty_dir_of("e") / "f").write_bytes(b"x" * 2 * BIG)
    used = await rig.volumes.usage(plan)
    assert list(used) == ["e"]
    assert used["e"].complete
    assert 2 * BIG <= used["e"].size_bytes < 2 * BIG + 64 * 1024


def test_symlinks_count_as_themselves_and_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "f").write_bytes(b"x" * BIG)
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "out").symlink_to(tmp_path / "other")
    (tmp_path / "v" / "file").symlink_to(tmp_path / "other" / "f")
    (tmp_path / "v" / "loop").symlink_to(".")
    assert measure(str(tmp_path / "v")).size_bytes < BIG / 2


def test_file_with_two_names_counts_once_and_a_hole_does_not(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * BIG)
    (tmp_path / "g").hardlink_to(tmp_path / "f")
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(100 * BIG)
    assert BIG <= measure(str(tmp_path)).size_bytes < 1.5 * BIG


def test_bytes_cannot_hide_deeper_than_paths_reach(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    last = deep(tmp_path / "v", 250)
    put(last, "f", BIG)
    os.close(last)
    used = measure(str(tmp_path / "v"))
    assert used.complete
    assert used.size_bytes >= BIG


def test_too_deep_or_too_many_is_said(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    os.close(deep(tmp_path / "v", MAX_DEPTH + 2))
    assert not measure(str(tmp_path / "v")).complete
    for number in range(50):
        (tmp_path / f"{number}").touch()
    assert not measure(str(tmp_path), most_entries=40).complete
