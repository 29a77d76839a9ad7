"""The programs that a node, or a pod, adds to its containers: an image to exec.

Its module says what it answers to: an export `tool:NAME` for each of its programs, and argv[0] says
which one is meant. A node's is pulled and compiled when the node starts, not when somebody waits
for it; what is missing then is tried again until it is there. A pod's is when it is first wanted.
"""

import asyncio
import posixpath
from typing import Final, NamedTuple

import structlog

from contract.messages.pull import PullPolicy
from wasm_executor.images.errors import ImageError
from wasm_executor.images.keyring import NO_KEYS, Keyring
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
    """The node's, where it has one, or a pod's."""

    def __init__(self, image: str | None, images: asyncio.Future[ImageService]) -> None:
        self._image = image
        self._images = images
        self._prepared: PreparedImage | None = None
        self._problem = "it is being prepared"

    async def prepare(self, retry_s: float) -> None:
        """Have it ready; try for as long as that takes."""
        if self._image is None:
            return
        while True:
            try:
                await self._prepare_once(self._image)
            except ImageError as error:
                self._problem = error.message
                log.warning("toolbox.not_ready", image=self._image, reason=error.message)
                await asyncio.sleep(retry_s)
            else:
                log.info("toolbox.prepared", image=self._image, tools=len(self._tools()))
                return

    async def of_pod(self, image: str, keyring: Keyring) -> "Toolbox":
        """Return the one that a pod has instead, ready to use; raise `ImageError`."""
        own = Toolbox(image, self._images)
        await own._prepare_once(image, keyring)
        return own

    async def _prepare_once(self, image: str, keyring: Keyring = NO_KEYS) -> None:
        images = await asyncio.shield(self._images)
        policy = PullPolicy.IF_NOT_PRESENT
        self._prepared = await images.ensure(image, policy, keyring=keyring)

    def find(self, command: str) -> Tool | None:
        """Return the program that a command names; raise `ToolboxNotReadyError`."""
        if self._image is None or not may_be_tool(command):
            return None
        if self._prepared is None:
            raise ToolboxNotReadyError(f"the toolbox {self._image} is not ready: {self._problem}")
        name = posixpath.basename(command)
        return Tool(self._prepared, name) if name in self._tools() else None

    def _tools(self) -> frozenset[str]:
        exports = () if self._prepared is None else self._prepared.facts.exports
        length = len(TOOL_EXPORT)
        return frozenset(each[length:] for each in exports if each.startswith(TOOL_EXPORT))


def may_be_tool(command: str) -> bool:
    """Say whether a toolbox could have it."""
    return posixpath.dirname(command) in FOLDERS
