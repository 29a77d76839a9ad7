"""What a Pod has anyway, or by the API server. It is no use of a field, so it is taken out first.

One thing depends on more than one field, so that no default value in the table can name it: a
hostPort that is the containerPort. hostNetwork brings it, and without that a pod has the ports of
its node, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def without_automatic(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec as somebody wrote it. Nothing is changed in place; list positions are kept."""
    written = dict(spec)
    for kind in ("containers", "initContainers"):
        if kind == "containers" or _sequence(spec.get(kind)):
            written[kind] = [_written_container(each) for each in _sequence(spec.get(kind))]
    return written


def _written_container(container: Any) -> Any:
    # Where the list is no list, it is left for the walk to name.
    if not isinstance(container, Mapping) or not (ports := _sequence(container.get("ports"))):
        return container
    return {**container, "ports": [_written_port(port) for port in ports]}


def _written_port(port: Any) -> Any:
    if not isinstance(port, Mapping):
        return port
    if port.get("hostPort") not in (port.get("containerPort"), 0):  # 0 is none at all
        return port
    return {name: value for name, value in port.items() if name != "hostPort"}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()
