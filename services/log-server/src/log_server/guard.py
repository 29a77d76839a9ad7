"""The outermost layer of a listener: nothing behind it sees a request that may not pass.

So a path that does not exist is refused like any other. The one exception is a GET of exactly
`/healthz`, which the registrar asks before a cluster knows anybody here, and which tells nothing
but whether the node lives.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from contract.ids import NodeName
from log_server.access import Access, Refusal
from log_server.domain.healthchecks import CheckCounts
from log_server.metrics import REQUESTS, method_label, path_label

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Scope]]
type Send = Callable[[Scope], Awaitable[None]]
type Application = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_PATH: Final = "/healthz"
OPEN_METHODS: Final = ("GET", "HEAD")
TOO_LARGE: Final = Refusal(code=413, text="the request's body is too large\n")
_LENGTH: Final = b"content-length"


class Guard:
    """The application of one Node's listener."""

    def __init__(
        self, application: Application, access: Access, node: NodeName, body_bytes: int
    ) -> None:
        self._body_bytes = body_bytes
        self._application = application
        self._access = access
        self._node = node
        self._checks = CheckCounts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            # Nothing else is served here yet, so nothing else can be let through by mistake.
            return
        scope["state"]["node"] = self._node
        scope["state"]["checks"] = self._checks
        counted = _counted(scope, send)
        refusal = await self._refusal(scope)
        if refusal is None:
            await self._application(scope, receive, counted)
        else:
            await _refuse(refusal, counted)

    async def _refusal(self, scope: Scope) -> Refusal | None:
        method, path = scope["method"], scope["path"]
        if _announced_bytes(scope) > self._body_bytes:
            return TOO_LARGE
        if path == OPEN_PATH and method in OPEN_METHODS:
            return None
        return await self._access.refusal(
            self._node, method, path, scope["headers"], scope["state"].get("peer")
        )


def _announced_bytes(scope: Scope) -> int:
    """Return how long the body is said to be; HTTP's parser has seen to it that it is a number."""
    return max((int(value) for name, value in scope["headers"] if name == _LENGTH), default=0)


def _counted(scope: Scope, send: Send) -> Send:
    async def counting(message: Scope) -> None:
        if message["type"] == "http.response.start":
            method, path = method_label(scope["method"]), path_label(scope["path"])
            REQUESTS.labels(method, path, str(message["status"])).inc()
        await send(message)

    return counting


async def _refuse(refusal: Refusal, send: Send) -> None:
    body = refusal.text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": refusal.code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
