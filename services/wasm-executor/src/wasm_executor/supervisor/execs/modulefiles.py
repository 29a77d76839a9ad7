"""A command may be the path of a module in its container's file system.

The path is the container's: it is looked up in what the container's processes are given, and
nothing outside of that can be reached, whatever symbolic links a guest makes meanwhile.
"""

import asyncio
import os
import posixpath
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from wasm_executor.container.beneath import open_beneath
from wasm_executor.container.plan import Preopen
from wasm_executor.images.puller import ImageService
from wasm_executor.images.records import PreparedImage

SUFFIX: Final = ".wasm"
ROOT: Final = "/"


class ModuleFiles:
    """Finds them and has them compiled."""

    def __init__(self, images: asyncio.Future[ImageService]) -> None:
        self._images = images

    async def find(self, preopens: Sequence[Preopen], command: str) -> PreparedImage | None:
        """Return the module that a command is the path of; raise `ImageError`."""
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(None, open_within, preopens, command)
        try:
            descriptor = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)  # its thread goes on
            raise
        if descriptor is None:
            return None
        try:
            images = await asyncio.shield(self._images)
            return await images.found_files.ensure(command, descriptor)
        finally:
            os.close(descriptor)


def _close(opening: asyncio.Future[int | None]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        descriptor = opening.result()
        if descriptor is not None:
            os.close(descriptor)


def may_be_file(command: str) -> bool:
    """Say whether it is worth a look: only paths of such names are taken for modules."""
    return "/" in command and command.endswith(SUFFIX)


def open_within(preopens: Sequence[Preopen], path: str) -> int | None:
    """Return a descriptor (O_PATH) of a file that a container sees, if there is one."""
    path = posixpath.normpath(posixpath.join(ROOT, path)).replace("//", ROOT)
    shown = max(
        (each for each in preopens if _is_within(path, each.guest_path)),
        key=lambda each: len(each.guest_path),
        default=None,
    )
    if shown is None:
        return None
    rest = path[len(shown.guest_path.rstrip("/")) :].lstrip("/")
    with suppress(OSError, ValueError):
        descriptor = open_beneath(shown.host_path, (*shown.beneath, rest))
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    return None


def _is_within(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")
