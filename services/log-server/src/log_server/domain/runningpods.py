"""The pods that run: of each its name and its running containers, and nothing else.

That is all that a kubelet tells at `/runningpods/`, since it asks its container runtime there.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""


class _State(msgspec.Struct, frozen=True):
    running: dict[str, object] | None = None


class _Status(msgspec.Struct, frozen=True):
    name: str = ""
    image: str = ""
    state: _State = _State()


class _PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    init_container_statuses: tuple[_Status, ...] = ()
    container_statuses: tuple[_Status, ...] = ()
    ephemeral_container_statuses: tuple[_Status, ...] = ()


class _Pod(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    status: _PodStatus = _PodStatus()


_decoder: Final = msgspec.json.Decoder(_Pod)


def running_pods(pods: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the running ones in the runtime's form."""
    for raw in pods:
        pod = _decoder.decode(raw)
        if containers := [
            _container(each) for each in _statuses(pod) if each.state.running is not None
        ]:
            yield msgspec.json.encode(
                {
                    "metadata": msgspec.to_builtins(pod.metadata),
                    "spec": {"containers": containers},
                    "status": {},
                }
            )


def _statuses(pod: _Pod) -> Iterator[_Status]:
    yield from pod.status.init_container_statuses
    yield from pod.status.container_statuses
    yield from pod.status.ephemeral_container_statuses


def _container(status: _Status) -> dict[str, Any]:
    return {"name": status.name, "image": status.image, "resources": {}}
