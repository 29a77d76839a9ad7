"""What a CGI program is told of its request: environment variables (RFC 3875) and arguments.

The names beyond the standard's (`X_MATCHED_ROUTE`, `X_FULL_URL`, `X_RAW_PATH_INFO`) are WAGI's.
Variables that have nothing to say are empty, not missing, so that none of the pod's own takes
their place.
"""

import re
from typing import Final, NamedTuple

from wasm_executor.container.plan import Route
from wasm_executor.runtimes.wagi.routes import Match
from wasm_executor.runtimes.wasihttp.messages import IncomingRequest

SOFTWARE: Final = "WAGI/1"
_NOT_TOLD: Final = frozenset({"authorization", "connection", "proxy", "content-type"})
"""Secrets and the connection's own; `HTTP_PROXY` is what clients take for their proxy.

Names with a `_` are left out, too: the variable of one would be another field's, which a proxy may
have set or taken away.
"""
_ESCAPED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


class Place(NamedTuple):
    """Where and from whom a request came."""

    peer: str
    port: int
    """What a request without a port in its `Host` was for."""
    version: str
    length: str
    """Of the body; empty where it is not known beforehand."""


def variables(request: IncomingRequest, match: Match, place: Place) -> dict[str, str]:
    """Return CGI's variables for one request."""
    path, _, query = (request.target or "/").partition("?")
    authority = request.authority or "localhost"
    host, port = _host_and_port(authority, place.port)
    path_info = unescaped(match.path_info)
    return _of_fields(request) | {
        "AUTH_TYPE": "",
        "CONTENT_LENGTH": place.length,
        "CONTENT_TYPE": _text(request.fields.get("content-type")),
        "GATEWAY_INTERFACE": "CGI/1.1",
        "HTTP_HOST": authority,
        "PATH_INFO": path_info,
        "PATH_TRANSLATED": path_info,
        "QUERY_STRING": query,
        "REMOTE_ADDR": place.peer,
        "REMOTE_HOST": place.peer,
        "REMOTE_USER": "",
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": match.script_name,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{place.version}",
        "SERVER_SOFTWARE": SOFTWARE,
        "X_FULL_URL": f"http://{host}:{port}{path}{'?' if query else ''}{query}",
        "X_MATCHED_ROUTE": match.route.route,
        "X_RAW_PATH_INFO": match.path_info,
    }


def arguments(request: IncomingRequest, route: Route) -> list[str]:
    """Return argv: the path and the query's parts, or what the route makes of them."""
    path, _, query = (request.target or "/").partition("?")
    if not route.argv:
        return [path, *(query.split("&") if query else ())]
    words = route.argv.replace("${SCRIPT_NAME}", path).replace("${ARGS}", query.replace("&", " "))
    return words.split()


def unescaped(text: str) -> str:
    raw = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), text.encode("utf-8", "replace"))
    return raw.decode("utf-8", "replace")


def _of_fields(request: IncomingRequest) -> dict[str, str]:
    told = (name for name, _ in request.fields.entries if name not in _NOT_TOLD)
    names = dict.fromkeys(name for name in told if "_" not in name)
    return {
        "HTTP_" + name.upper().replace("-", "_"): _text(request.fields.get(name)) for name in names
    }


def _text(values: list[bytes]) -> str:
    return b", ".join(values).decode("utf-8", "replace")


def _host_and_port(authority: str, default: int) -> tuple[str, str]:
    """Part a `Host`; an IPv6 address keeps its brackets."""
    host, colon, port = authority.rpartition(":")
    if colon and port.isdigit() and not host.endswith(":"):
        return host or "localhost", port
    return authority.rstrip(":"), str(default)
