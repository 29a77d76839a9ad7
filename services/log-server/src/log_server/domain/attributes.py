"""What a request asks of a Node, as the attributes of a SubjectAccessReview.

The kubelet's table (pkg/kubelet/server/auth.go), with one thing stricter: what runs something in a
container needs the verb `create` even when it comes as a GET, so that a role which may only read
`nodes/proxy` cannot exec.
"""

from collections.abc import Sequence
from typing import Final

_VERBS: Final = {
    "GET": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_ACTING: Final = ("/exec", "/attach", "/portForward", "/run")
_FINE_GRAINED: Final = {
    "/pods": "pods",
    "/runningpods": "pods",
    "/healthz": "healthz",
    "/configz": "configz",
}
_OWN: Final = {
    "/stats": "stats",
    "/metrics": "metrics",
    "/logs": "log",
    "/checkpoint": "checkpoint",
    "/statusz": "statusz",
    "/flagz": "configz",
}


def is_below(path: str, stem: str) -> bool:
    """Say whether a path is this stem or lies below it."""
    return path == stem or path.startswith(f"{stem}/")


def verb_of(method: str, path: str) -> str:
    """Return the verb to ask for. A method that the kubelet has no verb for gives an empty one."""
    if any(is_below(path, stem) for stem in _ACTING):
        return "create"
    return _VERBS.get(method, "")


def subresources_of(path: str) -> tuple[str, ...]:
    """Return the subresources of `nodes`, any of which allows the request, in order."""
    for stem, subresource in _OWN.items():
        if is_below(path, stem):
            return (subresource,)
    for stem, subresource in _FINE_GRAINED.items():
        if is_below(path, stem):
            return (subresource, "proxy")
    return ("proxy",)


def forbidden_text(user: str, verb: str, subresources: Sequence[str]) -> str:
    """Return the body of the kubelet's 403."""
    listed = " ".join(subresources)
    return f"Forbidden (user={user}, verb={verb}, resource=nodes, subresource(s)=[{listed}])\n"


def error_text(user: str, verb: str, subresource: str) -> str:
    """Return the body of the kubelet's 500 when nobody could decide."""
    return (
        f"Authorization error (user={user}, verb={verb}, resource=nodes, subresource={subresource})"
    )
