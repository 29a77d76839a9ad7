"""Raw requests to one API server: bytes in, bytes out, every failure an `ApiError`.

The typed client decodes a pod in 0.7 ms and drops fields it does not know, so nothing here decodes
objects. What this module promises instead: credentials that rotate are followed, every request
ends within its time-out, a dead connection is noticed within half a minute although a watch may
be silent for long, the status is known before the first line of a watch is read, and however many
watches are open, no request waits for one of them to end.
"""

import asyncio
import contextlib
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import msgspec
from aiohttp import AddrInfoType
from yarl import URL

from kubekit.answers import error_from_answer
from kubekit.credentials import Credential, credential_for, with_plugin_certificate
from kubekit.errors import UnreachableError
from kubekit.kubeconfig import Connection, in_cluster, read_kubeconfig
from kubekit.lines import LineSplitter
from kubekit.tls import TlsContext

CONNECT_TIMEOUT_S: Final = 10.0
# Idle connections are closed by us first: a server that closes one under a POST costs an error.
_KEEPALIVE_S: Final = 15.0
_READ_BUFFER_BYTES: Final = 256 * 1024
_CONTEXT: Final = re.compile(r" ssl:(<[^>]*>|default)")
"""What aiohttp says of a connection that could not be made, and nobody can use."""
_OK: Final = range(200, 300)
_UNAUTHORIZED: Final = 401
_UNBOUNDED: Final = 0


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of 200 to 299."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Api:
    """One API server, one identity, a pool of connections and one for watches.

    Made by `api_client`.
    """

    def __init__(
        self,
        connection: Connection,
        session: aiohttp.ClientSession,
        watches: aiohttp.ClientSession,
        credential: Credential,
        tls: TlsContext | None,
    ) -> None:
        self.server: Final = connection.server
        self._connection = connection
        self._session = session
        self._watches = watches
        self._credential = credential
        self._tls = tls

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        timeout_s: float = 10.0,
    ) -> Response:
        """One request, whole answer. Raises an `ApiError` for every other outcome.

        After an `UnreachableError` a write may have happened all the same.
        """
        call = _Call(
            method=method,
            path=path,
            query=query or {},
            body=body,
            headers={} if body is None else {"Content-Type": content_type},
            limits=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        )
        # Around everything: a credential may take its time, too.
        with call.wrapped_errors():
            async with asyncio.timeout(timeout_s), self._open(call) as answer:
                content = await answer.read()
                return Response(status=answer.status, headers=answer.headers, body=content)

    @contextlib.asynccontextmanager
    async def lines(
        self, path: str, query: Mapping[str, str] | None = None, *, read_timeout_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of a watch, as they come. Entering raises if the status is no success.

        There is no total time-out; `read_timeout_s` of silence raises `UnreachableError`. A last
        line without newline is given as it is: the caller sees that it does not parse.
        """
        call = _Call(
            method="GET",
            path=path,
            query=query or {},
            limits=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=read_timeout_s
            ),
            is_watch=True,
        )
        async with self._open(call) as answer:
            # Only the reading is wrapped: an error of the caller's own must stay what it is.
            yield _lines_of(answer, call)

    @contextlib.asynccontextmanager
    async def _open(self, call: "_Call") -> AsyncIterator[aiohttp.ClientResponse]:
        """Send, check the status, and give the answer with its body unread."""
        with call.wrapped_errors():
            answer = await self._send(call)
        try:
            if answer.status not in _OK:
                with call.wrapped_errors():
                    refusal = await answer.read()
                raise error_from_answer(answer.status, answer.headers, refusal)
            yield answer
        finally:
            # Closes the connection unless the body was read to its end.
            answer.release()

    async def _send(self, call: "_Call") -> aiohttp.ClientResponse:
        offered = await self._credential.header()
        answer = await self._send_as(call, offered)
        if answer.status != _UNAUTHORIZED or offered is None:
            return answer
        # A request that was not authenticated has done nothing, so sending it again is safe; it
        # is worth it only if the credential has been rotated meanwhile.
        self._credential.forget(offered)
        with contextlib.ExitStack() as unread:
            unread.callback(answer.release)
            renewed = await self._credential.header()
            if renewed == offered:
                unread.pop_all()
                return answer
        return await self._send_as(call, renewed)

    async def _send_as(self, call: "_Call", authorization: str | None) -> aiohttp.ClientResponse:
        identity = {} if authorization is None else {"Authorization": authorization}
        session = self._watches if call.is_watch else self._session
        return await session.request(
            call.method,
            call.url(self.server),
            headers=call.headers | identity,
            data=call.body,
            timeout=call.limits,
            allow_redirects=False,  # a redirect must not carry the token to another host
            ssl=self._tls.current() if self._tls else True,
            server_hostname=self._connection.server_name,
            proxy=self._connection.proxy,
        )


class _Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request, ready to be sent, and sent again."""

    method: str
    path: str
    query: Mapping[str, str]
    limits: Any
    body: bytes | None = None
    headers: dict[str, str] = {}
    is_watch: bool = False

    def url(self, server: str) -> URL:
        query = f"?{urlencode(self.query)}" if self.query else ""
        return URL(f"{server}{self.path}{query}", encoded=True)

    @contextlib.contextmanager
    def wrapped_errors(self) -> Iterator[None]:
        """Turn the library's errors into the one that says: no (whole) answer."""
        try:
            yield
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            detail = _CONTEXT.sub("", str(error)) or type(error).__name__
            raise UnreachableError(f"{self.method} {self.path}: {detail}") from error


@contextlib.asynccontextmanager
async def api_client(
    kubeconfig: Path | None,
    *,
    user_agent: str,
    connections: int = 128,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Api]:
    """An `Api` for a kubeconfig's current context, or for the pod's service account when None.

    Nothing is sent yet: a server that is away shows at the first request. `connections` bounds
    requests in flight; watches are not counted.
    """
    if kubeconfig is None:
        environ = os.environ  # noqa: TID251 -- the address is put there by a kubelet, not by users
        connection = in_cluster(environ)
    else:
        connection = await with_plugin_certificate(read_kubeconfig(kubeconfig))
    async with connected(
        connection, user_agent=user_agent, connections=connections, clock=clock
    ) as api:
        yield api


@contextlib.asynccontextmanager
async def connected(
    connection: Connection,
    *,
    user_agent: str,
    connections: int = 128,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Api]:
    """An `Api` for a connection that is already known."""
    tls = TlsContext(connection, clock) if connection.server.startswith("https:") else None
    async with (
        _session(user_agent, connections) as session,
        _session(user_agent, _UNBOUNDED) as watches,
    ):
        credential = credential_for(connection, clock, tls)
        try:
            yield Api(connection, session, watches, credential, tls)
        finally:
            await credential.close()


def _session(user_agent: str, connections: int) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=connections, keepalive_timeout=_KEEPALIVE_S, socket_factory=_guarded_socket
    )
    return aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": user_agent, "Accept": "application/json"},
        # The API server is near; compressing its answers costs more than it saves.
        skip_auto_headers=("Accept-Encoding",),
        read_bufsize=_READ_BUFFER_BYTES,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _lines_of(answer: aiohttp.ClientResponse, call: _Call) -> AsyncIterator[bytes]:
    splitter = LineSplitter()
    while chunk := await _next_chunk(answer, call):
        for line in splitter.feed(chunk):
            yield line
    if rest := splitter.rest().strip():
        yield rest


async def _next_chunk(answer: aiohttp.ClientResponse, call: _Call) -> bytes:
    with call.wrapped_errors():
        return await answer.content.readany()


def _guarded_socket(address: AddrInfoType) -> socket.socket:
    """A socket that notices within half a minute that its peer is gone without a word."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)
    return made
