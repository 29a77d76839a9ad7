"""The pods that run: of each its name and its running containers, and nothing else.

That is all that a kubelet tells at `/runningpods/`, since it asks its container runtime there. So
the executor is asked: a status in the API may lag behind.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from contract.messages.usage import ContainerUsage, PodUsage

RUNNING: Final = "running"


def running_pods(pods: Iterable[PodUsage]) -> Iterator[bytes]:
    """Yield the running ones in the runtime's form."""
    for pod in pods:
        if containers := [_container(each) for each in pod.containers if each.state == RUNNING]:
            metadata = {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid}
            yield msgspec.json.encode(
                {"metadata": metadata, "spec": {"containers": containers}, "status": {}}
            )


def _container(container: ContainerUsage) -> dict[str, Any]:
    return {"name": container.name, "image": container.image, "resources": {}}
