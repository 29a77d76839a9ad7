"""What went wrong on the way, in the words of a containerd that met the same.

People search for these texts; the texts of requests name Python objects.
"""

import errno
import http.client
import ssl
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from wasm_executor.images.registries.authorizing import AuthorizationError
from wasm_executor.images.registries.transport import PlainHttpError

_UNKNOWN_AUTHORITY: Final = "x509: certificate signed by unknown authority"
_CERTIFICATE_TEXTS: Final = {
    10: "x509: certificate has expired or is not yet valid",
    9: "x509: certificate has expired or is not yet valid",
    18: _UNKNOWN_AUTHORITY,
    19: _UNKNOWN_AUTHORITY,
    20: _UNKNOWN_AUTHORITY,
    21: _UNKNOWN_AUTHORITY,
}
_HOSTNAME_MISMATCH: Final = 62
_PLAIN_ALLOWED: Final = "INSECURE_REGISTRIES allows plain HTTP, where that is meant"
_ADVICE: Final = {
    "unknown authority": "REGISTRY_CA_FILE, or a .crt file in REGISTRY_CONFIG_DIR, has it trusted",
    "has expired": "the registry needs a new certificate, or a clock is wrong",
    "HTTP response to HTTPS client": _PLAIN_ALLOWED,
    "over plain HTTP": _PLAIN_ALLOWED,
    "no such host": "check the registry's name, and this node's resolver",
}
"""What to do about it, by what is said."""
_CONNECT_TEXTS: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
}


def request_failed(error: requests.exceptions.RequestException, url: str) -> str:
    """Return `failed to do request: Get "URL": REASON` for a request without an answer."""
    if isinstance(error, AuthorizationError):
        return str(error)
    method = "Get"
    if error.request is not None:
        method = (error.request.method or method).capitalize()
        url = str(error.request.url or url)
    return f'failed to do request: {method} "{url}": {_advised(_reason(error, url))}'


def unexpected_status(response: requests.Response) -> str:
    request = response.request
    return (
        f"unexpected status from {request.method} request to {request.url}: "
        f"{response.status_code} {response.reason}"
    )


def broken_body(error: Exception) -> str:
    """Why the rest of an answer did not come."""
    for cause in _causes(error):
        if isinstance(cause, urllib3.exceptions.IncompleteRead):
            return "unexpected EOF"
        if isinstance(cause, ConnectionResetError):
            return "read: connection reset by peer"
    return str(error) or type(error).__name__


def _advised(reason: str) -> str:
    advice = next((advice for said, advice in _ADVICE.items() if said in reason), "")
    return f"{reason} ({advice})" if advice else reason


def _reason(error: requests.exceptions.RequestException, url: str) -> str:
    address = urlsplit(url)
    peer = f"{address.hostname}:{address.port or (443 if address.scheme == 'https' else 80)}"
    match error:
        case PlainHttpError():
            return str(error)
        case requests.exceptions.SSLError():
            return _tls_reason(error)
        case requests.exceptions.ConnectTimeout():
            return f"dial tcp {peer}: i/o timeout"
        case requests.exceptions.Timeout():
            return "timeout awaiting response headers"
        case requests.exceptions.TooManyRedirects():
            return "stopped after too many redirects"
        case _:
            return _connection_reason(error, address.hostname or "", peer)


def _connection_reason(error: requests.exceptions.RequestException, host: str, peer: str) -> str:
    for cause in _causes(error):
        if isinstance(cause, urllib3.exceptions.NameResolutionError):
            return f"dial tcp: lookup {host}: no such host"
        if isinstance(cause, http.client.HTTPException):
            return "EOF"  # RemoteDisconnected, which is a ConnectionResetError, too
        if isinstance(cause, ConnectionResetError):
            return "read: connection reset by peer"
        if isinstance(cause, OSError) and cause.errno in _CONNECT_TEXTS:
            return f"dial tcp {peer}: connect: {_CONNECT_TEXTS[cause.errno]}"
    return str(error)


def _tls_reason(error: requests.exceptions.SSLError) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            if cause.verify_code == _HOSTNAME_MISMATCH:
                return f"tls: failed to verify certificate: x509: {cause.verify_message}"
            text = _CERTIFICATE_TEXTS.get(cause.verify_code, f"x509: {cause.verify_message}")
            return f"tls: failed to verify certificate: {text}"
        if isinstance(cause, ssl.SSLError) and cause.reason in {
            "WRONG_VERSION_NUMBER",
            "RECORD_LAYER_FAILURE",
            "HTTP_REQUEST",
        }:
            return "http: server gave HTTP response to HTTPS client"
    return f"tls: {error}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The errors behind an error: requests and urllib3 keep them in three different places."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        reason = getattr(current, "reason", None)
        waiting += [current.__cause__, current.__context__, reason, *current.args]
