"""The programs that a node adds to its containers: one image, of which each container may exec.

Its module says what it answers to: an export `tool:NAME` for each of its programs, and argv[0] says
which one is meant. It is pulled and compiled when the node starts, not when somebody is waiting;
what is missing then is tried again until it is there.
"""

import asyncio
import posixpath
from typing import Final, NamedTuple

import structlog

from contract.messages.pull import PullPolicy
from wasm_executor.images.errors import ImageError
from wasm_executor.images.puller import ImageService
from wasm_executor.images.records import PreparedImage

log = structlog.get_logger()

TOOL_EXPORT: Final = "tool:"
FOLDERS: Final = frozenset({"", "/bin", "/usr/bin", "/usr/local/bin"})
"""Where people look for such programs; a path elsewhere means another one."""


class Tool(NamedTuple):
    """A program of a toolbox: the module, and what its argv[0] must be."""

    image: PreparedImage
    name: str


class ToolboxNotReadyError(Exception):
    """Whether it has such a program is not known yet."""


class Toolbox:
    """The node's own, where it has one."""

    def __init__(self, image: str | None, images: asyncio.Future[ImageService]) -> None:
        self._image = image
        self._images = images
        self._prepared: PreparedImage | None = None
        self._problem = "it is being prepared"

    async def prepare(self, retry_s: float) -> None:
        """Have it ready; try for as long as that takes."""
        if self._image is None:
            return
        images = await asyncio.shield(self._images)
        while True:
            try:
                self._prepared = await images.ensure(self._image, PullPolicy.IF_NOT_PRESENT)
            except ImageError as error:
                self._problem = error.message
                log.warning("toolbox.not_ready", image=self._image, reason=error.message)
                await asyncio.sleep(retry_s)
            else:
                log.info("toolbox.prepared", image=self._image, tools=len(_tools(self._prepared)))
                return

    def find(self, command: str) -> Tool | None:
        """Return the program that a command names; raise `ToolboxNotReadyError`."""
        folder, name = posixpath.split(command)
        if self._image is None or folder not in FOLDERS:
            return None
        if self._prepared is None:
            raise ToolboxNotReadyError(f"the toolbox {self._image} is not ready: {self._problem}")
        return Tool(self._prepared, name) if name in _tools(self._prepared) else None


def _tools(image: PreparedImage) -> frozenset[str]:
    exports = image.facts.exports
    return frozenset(each[len(TOOL_EXPORT) :] for each in exports if each.startswith(TOOL_EXPORT))
