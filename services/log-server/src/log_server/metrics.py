"""What is counted. Labels come from closed sets, since anybody may send any path."""

from typing import Final

from prometheus_client import Counter, Gauge

REQUESTS: Final = Counter(
    "wasmlet_kubelet_http_requests",
    "Answered requests of the kubelet API.",
    ("method", "path", "code"),
)
AUTHENTICATIONS: Final = Counter(
    "wasmlet_kubelet_authentications", "Authentications by their result.", ("result",)
)
AUTHORIZATIONS: Final = Counter(
    "wasmlet_kubelet_authorizations", "Authorizations by their result.", ("result",)
)
CONNECTIONS_REFUSED: Final = Counter(
    "wasmlet_kubelet_connections_refused",
    "Connections broken off because of a limit.",
    ("reason",),
)
LOG_STREAMS: Final = Gauge("wasmlet_log_streams", "Log streams that are open.")
LISTENERS: Final = Gauge("wasmlet_kubelet_listeners", "Nodes whose kubelet API is served here.")

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_STEMS: Final = frozenset(
    {
        "attach",
        "checkpoint",
        "configz",
        "containerLogs",
        "debug",
        "exec",
        "healthz",
        "logs",
        "metrics",
    }
    | {"pods", "portForward", "run", "runningpods", "stats"}
)


def method_label(method: str) -> str:
    """Return the method, or `other`."""
    return method if method in _METHODS else "other"


def path_label(path: str) -> str:
    """Return the first segment of a path that the kubelet has, or `other`."""
    stem = path[1:].partition("/")[0]
    return stem if stem in _STEMS else "other"
