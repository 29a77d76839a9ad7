"""An API server whose logs are static: the floor that `kubectl logs` is measured against.

All else that kubectl asks, it asks the real one. What is left is kubectl itself, which writes line
by line, and TLS.
"""

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Final

from kubekit.client import Api, api_client

LINE: Final = b"x" * 99 + b"\n"
_PIECE: Final = 256 * 1024 // len(LINE) * LINE


async def main() -> None:
    port, kubeconfig, size = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    async with api_client(kubeconfig, user_agent="bench-static") as api:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            await answer(api, head.split()[1].decode(), size, writer)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=tls_of(kubeconfig))
        print("ready", flush=True)
        await server.serve_forever()


async def answer(api: Api, path: str, size: int, writer: asyncio.StreamWriter) -> None:
    """Answer one GET."""
    if "/log" not in path:
        found = await api.request("GET", path)
        writer.write(_head(len(found.body), "application/json") + found.body)
        return
    await write_log(writer, size)


def tls_of(kubeconfig: Path) -> ssl.SSLContext:
    """Serve with the API server's own certificate."""
    pki = kubeconfig.parent / "pki"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
    return context


async def write_log(writer: asyncio.StreamWriter, size: int) -> None:
    """Answer with so many bytes of lines."""
    writer.write(_head(size, "text/plain"))
    while size:
        piece = _PIECE[:size]
        writer.write(piece)
        await writer.drain()
        size -= len(piece)


def _head(size: int, kind: str) -> bytes:
    lines = ("HTTP/1.1 200 OK", f"Content-Type: {kind}", f"Content-Length: {size}")
    return "\r\n".join((*lines, "Connection: close", "", "")).encode()


if __name__ == "__main__":
    asyncio.run(main())
