"""The least that uvicorn can do: what HTTP handlers are measured beside."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

BODY: Final = b"hello\n"
HEADERS: Final = [(b"content-type", b"text/plain")]

type Receive = Callable[[], Awaitable[Any]]
type Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Say hello, or send a body back."""
    if scope["type"] != "http":
        return
    body = BODY if scope["method"] == "GET" else await _whole(receive)
    headers = [*HEADERS, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _whole(receive: Receive) -> bytes:
    parts, more = list[bytes](), True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)
