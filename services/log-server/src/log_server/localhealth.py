"""Asks an executor on the same host whether it lives, over its local socket.

The bus may be away while executor and guests are well; then this is the only way to know.
"""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from contract.ids import NodeName

_ALIVE: Final = b"ok\n"


async def lives_here(socket: str, node: NodeName, timeout_s: float) -> bool:
    """Say whether the executor of a node answers that it holds its name.

    `socket` is a path in which `{node}` stands for the node's name. False also where nothing
    listens: ask over the bus then.
    """
    path = Path(socket.replace("{node}", node))
    with suppress(OSError, TimeoutError):
        # A socket's path may have 107 bytes; a folder's descriptor stands for any path.
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            async with asyncio.timeout(timeout_s):
                return await _answer(f"/proc/self/fd/{folder}/{path.name}") == _ALIVE
        finally:
            os.close(folder)
    return False


async def _answer(path: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        return await reader.readline()
    finally:
        writer.close()
