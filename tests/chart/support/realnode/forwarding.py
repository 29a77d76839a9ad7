"""Ways from a node's network to this machine's loopback: what kube-proxy would do, without rules.

A listener's socket is made in the node's namespace and answered by a thread out here, so that the
API server and the registry need not listen anywhere but on loopback.
"""

import asyncio
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Final, Self

from realnode.namespaces import Namespaces

CHUNK: Final = 65536


class Forwarding:
    """(address, port) inside -> port on this machine's loopback; a context manager."""

    def __init__(self, node: Namespaces, ways: Mapping[tuple[str, int], int]) -> None:
        self._node = node
        self._ways = ways
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="forwarding")

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            for address, port in self._ways.items():
                listening = self._node.made_inside(partial(socket.create_server, address))
                served = self._serve(listening, port)
                asyncio.run_coroutine_threadsafe(served, self._loop).result()
        except BaseException:
            self.__exit__()  # its thread would keep this process for ever
            raise
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, listening: socket.socket, port: int) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                out_reader, out_writer = await asyncio.open_connection("127.0.0.1", port)
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pump(reader, out_writer), name="there")
                    both.create_task(_pump(out_reader, writer), name="back")

        self._servers.append(await asyncio.start_server(answer, sock=listening))

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                writer.write(chunk)
                await writer.drain()
    finally:
        writer.close()
