"""Removes folders that guests could write to.

A guest may nest folders deeper than paths and descriptors reach, and put symlinks where files were.
So nothing is followed and nothing is walked down: a folder in a folder is first moved up, under a
name that no guest can know. What an earlier life did not finish is finished by the next removal.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

_SLOW: Final = ThreadPoolExecutor(2, thread_name_prefix="at-leisure")


async def at_leisure[*Ts, T](work: Callable[[*Ts], T], *args: *Ts) -> T:
    """Do what may take as long as a guest has made it, and never in a thread that a start needs.

    The loop's own threads are few: so many volumes with a million files, and no pod would start.
    """
    return await asyncio.get_running_loop().run_in_executor(_SLOW, work, *args)


def begin_at_leisure[*Ts](work: Callable[[*Ts], object], *args: *Ts) -> None:
    """As above, for what nobody waits for: others' work may be before it. It must not fail."""
    _SLOW.submit(work, *args)


class Remover:
    """Works in one folder of its own, on the file system of what it removes."""

    def __init__(self, workplace: Path) -> None:
        self._workplace = str(workplace)
        workplace.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove(self, folder: str) -> None:
        """Remove a folder, if there is one. Blocks: call it in a thread, and when no guest writes.

        It is out of its place at once. What cannot be removed stays for the next call.
        """
        self.take(folder)
        self.empty()

    def take(self, folder: str) -> None:
        """Move a folder out of its place, if there is one: another may be made there at once."""
        with suppress(OSError):
            self._take(folder)

    def empty(self) -> None:
        """Remove what was taken. Blocks, as above."""
        with suppress(OSError):
            while self._empty_all():
                pass

    def _take(self, folder: str) -> None:
        os.rename(folder, f"{self._workplace}/{secrets.token_hex(8)}")  # noqa: PTH104 - as below

    def _empty_all(self) -> bool:
        """Empty and remove the folders that are here now; False if none would go."""
        with os.scandir(self._workplace) as folders:
            removed = sum(self._empty(each.path) for each in folders)
        return removed > 0

    def _empty(self, folder: str) -> bool:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        self._take(entry.path)
                    else:
                        os.unlink(entry.path)  # noqa: PTH108 - a guest may have made a million
            os.rmdir(folder)  # noqa: PTH106 - as above
        except OSError:
            return False
        return True
