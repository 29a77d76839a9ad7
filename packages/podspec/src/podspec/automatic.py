"""What the API server puts into a Pod by itself. It is no use of a field, so it is taken out first.

Two things depend on more than one field, so that no default value in the table can name them: the
service account's volume with its mounts, and the hostPort that hostNetwork brings.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

TOKEN_MOUNT_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 -- a path
_TOKEN_VOLUME: Final = re.compile(r"kube-api-access-[a-z0-9]+")
_TOKEN_SOURCES: Final = frozenset({"serviceAccountToken", "configMap", "downwardAPI"})


def is_token_volume(volume: Any) -> bool:
    """Whether this is the volume that the ServiceAccount admission plugin adds."""
    if not isinstance(volume, Mapping) or not _TOKEN_VOLUME.fullmatch(str(volume.get("name"))):
        return False
    projected = volume.get("projected")
    if set(volume) != {"name", "projected"} or not isinstance(projected, Mapping):
        return False
    sources = projected.get("sources")
    return isinstance(sources, Sequence) and all(
        isinstance(source, Mapping) and set(source) <= _TOKEN_SOURCES for source in sources
    )


def token_volumes(spec: Mapping[str, Any]) -> dict[str, int]:
    """The automatic volumes by name, with their place in the list."""
    return {
        volume["name"]: place
        for place, volume in enumerate(_sequence(spec.get("volumes")))
        if is_token_volume(volume)
    }


def without_automatic(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec as somebody wrote it. Nothing is changed in place; list positions are kept."""
    tokens = token_volumes(spec)
    host_network = spec.get("hostNetwork") is True
    written = dict(spec)
    if tokens:
        # None keeps the positions of the others, and so their paths in messages.
        written["volumes"] = [
            None if is_token_volume(volume) else volume for volume in spec["volumes"]
        ]
    for kind in ("containers", "initContainers"):
        if kind == "containers" or _sequence(spec.get(kind)):
            written[kind] = [
                _written_container(container, tokens, host_network=host_network)
                for container in _sequence(spec.get(kind))
            ]
    return written


def _written_container(container: Any, tokens: Mapping[str, int], *, host_network: bool) -> Any:
    if not isinstance(container, Mapping):
        return container
    written = dict(container)
    # Where the list is no list, it is left for the walk to name.
    if tokens and (mounts := _sequence(container.get("volumeMounts"))):
        written["volumeMounts"] = [
            None if _is_token_mount(mount, tokens) else mount for mount in mounts
        ]
    if host_network and (ports := _sequence(container.get("ports"))):
        written["ports"] = [_written_port(port) for port in ports]
    return written


def _is_token_mount(mount: Any, tokens: Mapping[str, int]) -> bool:
    return (
        isinstance(mount, Mapping)
        and mount.get("name") in tokens
        and mount.get("mountPath") == TOKEN_MOUNT_PATH
    )


def _written_port(port: Any) -> Any:
    if not isinstance(port, Mapping) or port.get("hostPort") != port.get("containerPort"):
        return port
    return {name: value for name, value in port.items() if name != "hostPort"}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()
