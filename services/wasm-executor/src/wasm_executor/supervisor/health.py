"""A local socket that says whether this executor lives, for a log-server on the same host.

While NATS is away, a Lease goes on only for an executor that somebody has asked. Who can open the
socket reads one line and nothing else. No answer at all means that the main loop does not turn.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from wasm_executor.supervisor.localsocket import serve_local

SOCKET_NAME: Final = "health.sock"
HELD: Final = b"ok\n"
NOT_HELD: Final = b"the node name is not granted\n"


async def answer_health(folder: Path, held: Callable[[], bool]) -> None:
    """Answer each connection with one line, until cancelled."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HELD if held() else NOT_HELD)
        await writer.drain()

    await serve_local(folder, SOCKET_NAME, answer)
