"""The least that uvicorn can do: what HTTP handlers are measured beside."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

BODY: Final = b"hello\n"
HEADERS: Final = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(BODY))]

type Receive = Callable[[], Awaitable[Any]]
type Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], _receive: Receive, send: Send) -> None:
    """Say hello."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})
