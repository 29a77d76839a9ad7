"""Connections in the event loop.

The address of a pod is an IP address, so no resolver is asked. Only a probe that names a `host`
of its own may need one; then libuv asks libc in a thread of its own, within the probe's time.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Final

from wasm_executor.checking.errors import NoAnswerError, NotDialledError
from wasm_executor.checking.wording import (
    PLAIN_ANSWER,
    dial_failed,
    error_name,
    joined,
    lookup_failed,
)

HANDSHAKE_S: Final = 10.0
"""Go's limit, below the probe's own."""
CLOSING_S: Final = 1.0
"""How long a TLS peer may take to say goodbye; uvloop's own is half a minute."""
_NO_TLS_REASONS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")


async def dial[P: asyncio.BaseProtocol](
    factory: Callable[[], P], host: str, port: int, *, tls: bool = False
) -> tuple[asyncio.BaseTransport, P]:
    """Connect, to the first address of a name that lets us; the first error is the one told."""
    failed: NotDialledError | None = None
    for address in await _addresses(host, port):
        try:
            return await _connected(factory, (address, port), host if tls else None)
        except NotDialledError as error:
            failed = failed or error
    raise failed or NotDialledError(f"dial tcp: lookup {host}: no such host")


async def _connected[P: asyncio.BaseProtocol](
    factory: Callable[[], P], address: tuple[str, int], tls_name: str | None
) -> tuple[asyncio.BaseTransport, P]:
    loop = asyncio.get_running_loop()
    try:
        if tls_name is None:
            return await loop.create_connection(factory, *address)
        return await loop.create_connection(
            factory,
            *address,
            ssl=_unverified(),
            server_hostname=tls_name,
            ssl_handshake_timeout=HANDSHAKE_S,
            ssl_shutdown_timeout=CLOSING_S,
        )
    except ssl.SSLError as error:
        raise NoAnswerError(_tls_text(error)) from error
    except ConnectionAbortedError as error:  # which is how a loop tells of its handshake time-out
        raise NoAnswerError("net/http: TLS handshake timeout") from error
    except OSError as error:
        if tls_name is not None and isinstance(error, ConnectionResetError | BrokenPipeError):
            # It was connected: only the handshake did not come to its end.
            ending = f"read tcp {joined(*address)}: read: {error_name(error)}"
            raise NoAnswerError(ending if error.errno else "EOF") from error
        raise NotDialledError(dial_failed(*address, error)) from error


async def _addresses(host: str, port: int) -> list[str]:
    with suppress(OSError):
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        return [host]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NotDialledError(lookup_failed(host, error)) from error
    except UnicodeError as error:
        raise NotDialledError(f"dial tcp: lookup {host}: no such host") from error
    return [str(sockaddr[0]) for *_, sockaddr in found]


@lru_cache(maxsize=1)
def _unverified() -> ssl.SSLContext:
    """The kubelet does not verify what a pod shows, and takes old keys too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.set_alpn_protocols(["http/1.1"])
    return context


def _tls_text(error: ssl.SSLError) -> str:
    reason = error.reason or "handshake failure"
    if reason in _NO_TLS_REASONS:
        return PLAIN_ANSWER
    _, alert, said = reason.partition("ALERT_")
    if alert:
        return f"remote error: tls: {said.lower().replace('_', ' ')}"
    return f"tls: {reason.lower().replace('_', ' ')}"
