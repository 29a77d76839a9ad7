"""A socket in the run directory, for processes of the same user on this host.

The run directory is closed to everybody else, and so is the socket.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger()

type Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def serve_local(run_dir: Path, name: str, answer: Answer) -> None:
    """Answer each connection, side by side, until cancelled; then the answers end, too."""
    # A socket's path may have 107 bytes; a folder's descriptor stands for however long a path.
    folder = os.open(run_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.create_task(_answer(answer, reader, writer), name=name)

        async with asyncio.TaskGroup() as tasks:
            server = await asyncio.start_unix_server(connected, f"/proc/self/fd/{folder}/{name}")
            os.chmod(name, 0o600, dir_fd=folder)
            try:
                await asyncio.Event().wait()
            finally:
                server.close()
    finally:
        os.close(folder)


async def _answer(
    answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        await answer(reader, writer)
    except OSError as error:
        log.info("local_socket.caller_left", reason=str(error))
    finally:
        writer.close()
