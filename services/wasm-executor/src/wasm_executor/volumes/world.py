"""What a run sees, put together: its mounts, the folders above them, and what others show it.

A root of the container's own, read-only, holds an empty folder for each mount, so that a guest can
look at the way to its volumes. Where a mount lies below another, a folder is made for it there too,
as a container runtime does; only so does it appear in a listing. The guest's own library goes to
the longest match, so neither folder is ever looked into by path.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from wasm_executor.container.beneath import open_beneath
from wasm_executor.container.plan import Preopen

ROOT: Final = "/"
_FOLDER_MODE: Final = 0o755


class Shown(NamedTuple):
    preopen: Preopen
    takes_folders: bool
    """Whether folders for mounts further down may be made in it."""


def with_mount_points(
    shown: Sequence[Shown], others: Sequence[Preopen], root: str
) -> tuple[Preopen, ...]:
    """Return a run's own folders, the deepest first, with its root in `root` at the end."""
    own = [each.preopen for each in shown]
    covers = [*shown, *(Shown(each, not each.read_only) for each in others)]
    if not any(each.guest_path == ROOT for each in own):
        Path(root).mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        own.append(Preopen(host_path=root, guest_path=ROOT, read_only=True))
        covers.append(Shown(own[-1], takes_folders=True))
    for point in (*own, *others):
        for cover in covers:
            _make_point(cover, point.guest_path)
    return tuple(sorted(own, key=lambda each: (each.guest_path == ROOT, -len(each.guest_path))))


def _make_point(cover: Shown, guest_path: str) -> None:
    """Make a folder for a mount in one above it; without one it is only not listed."""
    above = cover.preopen.guest_path
    if not cover.takes_folders or above == guest_path or not _is_below(guest_path, above):
        return
    rest = guest_path[len(above) :].lstrip("/")
    with suppress(OSError, ValueError):
        place = (*cover.preopen.beneath, rest)
        os.close(open_beneath(cover.preopen.host_path, place, create_mode=_FOLDER_MODE))


def _is_at_or_below(path: str, above: str) -> bool:
    return path == above or _is_below(path, above)


def _is_below(path: str, above: str) -> bool:
    return path.startswith(above.rstrip("/") + "/")


def merged(own: Sequence[Preopen], others: Sequence[Preopen], root: str) -> tuple[Preopen, ...]:
    """Let mounts hide what others show there; a root of ours hides nothing."""
    elsewhere = {each.guest_path for each in others}
    kept = [each for each in own if each.host_path != root or ROOT not in elsewhere]
    return (*(each for each in others if not hides(kept, each.guest_path, root)), *kept)


def covering(own: Sequence[Preopen], guest_path: str, root: str) -> Preopen | None:
    """Return the mount in which a guest finds a folder; a root of ours is none."""
    mounts = (each for each in own if each.host_path != root)
    above = (each for each in mounts if _is_at_or_below(guest_path, each.guest_path))
    return max(above, key=lambda each: len(each.guest_path), default=None)


def hides(own: Sequence[Preopen], guest_path: str, root: str) -> bool:
    """Say whether what others show at this place is not seen, because a mount is.

    Further up it is one that the guest may write, so that it finds there what it has written: a
    folder in a read-only one would not be its own, and everything lies in one that is the root.
    """
    cover = covering(own, guest_path, root)
    if cover is None or cover.guest_path == guest_path:
        return cover is not None
    return not cover.read_only and cover.guest_path != ROOT
