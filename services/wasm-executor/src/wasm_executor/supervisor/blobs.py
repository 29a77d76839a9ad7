"""Reads what is too large for a message from the reconciler, while the node is ours."""

from typing import Final

from contract.errors import CommandError
from contract.ids import NodeName
from contract.messages.blob import BlobRead
from servicekit.bus import Bus
from servicekit.errors import BusUnavailableError
from wasm_executor.volumes.errors import ContentError

MAX_BYTES: Final = 32 * 1024 * 1024
"""What ConfigMaps may sum up to, and then some."""


class Blobs:
    """One node's way to them. A volume's content is asked for also while the bus is away."""

    def __init__(self, node: NodeName) -> None:
        self._node = node
        self._bus: Bus | None = None
        self._openings = 0
        """How often the node was had: one that was lost and is had again is another one."""

    def open(self, bus: Bus) -> None:
        self._bus = bus
        self._openings += 1

    def close(self) -> None:
        self._bus = None

    async def read(self, digest: str) -> bytes:
        """Return a blob whole; raise `CommandError` or `BusUnavailableError`.

        What arrives after the node was lost is no answer any more: nobody may act on it.
        """
        bus = self._bus
        if bus is None:
            raise BusUnavailableError("the bus is away")
        content, opening = bytearray(), self._openings
        while True:
            read = BlobRead(digest=digest, offset=len(content))
            chunk = await bus.request(self._node, read, stream=True)
            if self._bus is None or self._openings != opening:
                raise BusUnavailableError("the node was lost meanwhile")
            content += chunk.data
            if not chunk.data or len(content) >= min(chunk.total_bytes, MAX_BYTES):
                return bytes(content)

    async def content(self, digest: str) -> bytes:
        """The same for a volume, which waits for what cannot be had."""
        try:
            return await self.read(digest)
        except (BusUnavailableError, CommandError) as error:
            raise ContentError(f"its content cannot be read: {error}") from error
