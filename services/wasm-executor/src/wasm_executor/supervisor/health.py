"""A local socket that says whether this executor lives, for a log-server on the same host.

While NATS is away, a Lease goes on only for an executor that somebody has asked. The socket lies
in the run directory, which only this user may enter; who can open it reads one line and nothing
else. No answer at all means that the main loop does not turn.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

SOCKET_NAME: Final = "health.sock"
HELD: Final = b"ok\n"
NOT_HELD: Final = b"the node name is not granted\n"


async def answer_health(run_dir: Path, held: Callable[[], bool]) -> None:
    """Answer each connection with one line, until cancelled."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(HELD if held() else NOT_HELD)
            await writer.drain()
        writer.close()

    # A socket's path may have 107 bytes; a folder's descriptor stands for however long a path.
    folder = os.open(run_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(FileNotFoundError):
            os.unlink(SOCKET_NAME, dir_fd=folder)
        path = f"/proc/self/fd/{folder}/{SOCKET_NAME}"
        server = await asyncio.start_unix_server(answer, path)
        os.chmod(SOCKET_NAME, 0o600, dir_fd=folder)
        async with server:
            await server.serve_forever()
    finally:
        os.close(folder)
