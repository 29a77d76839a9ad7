"""Which requests a pod's CGI modules answer: Krustlet's JSON, in an annotation of ours.

    {"CONTAINER": {"route": "/hello/...", "allowed_hosts": ["https://api.example"]}, ...}

A container may have a list of such routes. What is not known is refused: a host that a misspelt
word was to allow, or a volume that nobody mounts, would otherwise be missed in silence.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from contract.messages.pod import CgiRoute
from pod_reconciler.errors import PlanError
from podspec.hostrules import is_host_rule, is_ipv6, names_port

MODULES: Final = "wasmlet.dev/wagi-modules"
MOST_ROUTES: Final = 256
_PORTS: Final = {"http": 80, "https": 443}
_ANNOTATION: Final = f"metadata.annotations[{MODULES}]"


class _Module(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    route: str
    entrypoint: str = "_start"
    argv: str = ""
    allowed_hosts: tuple[str, ...] = ()


_decoder: Final = msgspec.json.Decoder(dict[str, _Module | list[_Module]])


class CgiRules(NamedTuple):
    """One container's."""

    routes: tuple[CgiRoute, ...] = ()
    allowed_hosts: tuple[str, ...] = ()


def cgi_rules(annotations: Mapping[str, str], container: str) -> CgiRules:
    """Return what the annotation says of a container, or raise `PlanError`."""
    given = _given(annotations).get(container, [])
    modules = given if isinstance(given, list) else [given]
    if len(modules) > MOST_ROUTES:
        raise PlanError(_ANNOTATION, f"more than {MOST_ROUTES} routes")
    for each in modules:
        _require_usable(each)
    hosts = dict.fromkeys(_host(each) for module in modules for each in module.allowed_hosts)
    routes = (
        CgiRoute(route=each.route, entrypoint=each.entrypoint, argv=each.argv) for each in modules
    )
    return CgiRules(tuple(routes), tuple(hosts))


def require_known_containers(annotations: Mapping[str, str], known: Iterable[str]) -> None:
    """Raise `PlanError` for a container that the pod has not: its routes would be nobody's."""
    given = _given(annotations)
    names = set(known) if given else set()
    for name in given:
        if name not in names:
            raise PlanError(_ANNOTATION, f"the pod has no container {name!r}")


def _given(annotations: Mapping[str, str]) -> Mapping[str, _Module | list[_Module]]:
    text = annotations.get(MODULES)
    if text is None:
        return {}
    try:
        return _decoder.decode(text)
    except msgspec.DecodeError as error:
        raise PlanError(_ANNOTATION, str(error)) from error


def _require_usable(module: _Module) -> None:
    if not module.route.startswith("/"):
        raise PlanError(_ANNOTATION, f"the route {module.route!r} does not begin with a slash")
    if not module.entrypoint:
        raise PlanError(_ANNOTATION, f"the entrypoint of {module.route!r} is empty")


def _host(text: str) -> str:
    """Return a host as our own lists have it: WAGI's have a scheme, which stands for a port."""
    whole = text.strip().lower()
    scheme, separator, rest = whole.partition("://")
    host = rest.partition("/")[0] if separator else whole
    if not is_host_rule(host) or (separator and (scheme not in _PORTS or is_ipv6(host))):
        raise PlanError(_ANNOTATION, f"{text!r} is no host, want HOST, HOST:PORT or https://HOST")
    return f"{host}:{_PORTS[scheme]}" if separator and not names_port(host) else host
