"""The control groups of a node's containers: the one thing of them that no namespace ends.

A kubelet without groups of its own leaves them where containerd has all of its own, which another
containerd of this machine may share. So each container's is removed by its id.
"""

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from e2e.expectations import eventually

ROOT: Final = Path("/sys/fs/cgroup")
PARENT: Final = "k8s.io"


def of(ids: Iterable[str]) -> list[Path]:
    """The groups of these containers: in every hierarchy (v1), or in the only one (v2)."""
    return [group for each in ids for parent in _parents() if (group := parent / each).is_dir()]


def remove(ids: Iterable[str]) -> None:
    """Once the processes in them are gone."""
    for top in of(ids):
        eventually(partial(_removed, top))
    for parent in _parents():
        with suppress(OSError):  # somebody else's are in there
            parent.rmdir()


def _parents() -> list[Path]:
    hierarchies = [ROOT, *(each for each in ROOT.iterdir() if each.is_dir())]
    return [each / PARENT for each in hierarchies if (each / PARENT).is_dir()]


def _removed(top: Path) -> bool:
    inner = [each for each in top.rglob("*") if each.is_dir()]
    try:
        for folder in (*sorted(inner, reverse=True), top):
            folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
