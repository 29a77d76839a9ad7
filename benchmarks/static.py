"""A bare static server over TLS: the floor that `kubectl logs` is measured against."""

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Final

_PIECE: Final = 256 * 1024


async def main() -> None:
    port, pki, size = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
    piece = b"x" * 99 + b"\n"
    body = piece * (_PIECE // len(piece))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        left = size
        while left:
            part = body[:left]
            writer.write(part)
            await writer.drain()
            left -= len(part)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
