"""The Kubernetes edge: a watch of pods per node, status by PATCH, deletion by UID."""

import asyncio
import time
from typing import Final

import msgspec
import structlog

from contract.ids import NodeName, PodUid
from contract.messages.report import Occurrence
from kubekit.changes import Added, Change, Deleted, Modified, Synced
from kubekit.client import Api
from kubekit.errors import ApiError, ConflictError, NotFoundError
from kubekit.events import ObjectRef
from kubekit.listing import Source
from kubekit.objects import object_path
from kubekit.patches import STRATEGIC_MERGE, delete_options
from kubekit.reflector import Pace, Reflector
from pod_reconciler.domain.cluster import PodVersion, StatusWrite, Watcher
from pod_reconciler.domain.pod import Json, Pod, pod_from_json
from pod_reconciler.errors import (
    ActFailedError,
    NameTakenError,
    PodAbsentError,
    WriteRefusedError,
)
from pod_reconciler.events import NodeEvents
from pod_reconciler.nodes import Nodes

log = structlog.get_logger()

PODS: Final = "/api/v1/pods"


def read_version(raw: bytes | msgspec.Raw) -> PodVersion:
    """A pod with a copy of its bytes: those of a watch line live no longer than the line."""
    return PodVersion(pod_from_json(raw), bytes(raw))


class KubeCluster:
    """Pods of an API server. Implements `domain.cluster.Cluster`."""

    def __init__(self, api: Api, events: NodeEvents, pace: Pace) -> None:
        self._api = api
        self._events = events
        self._pace = pace
        self._nodes = Nodes(api, pace)

    async def follow(self, node: NodeName, watcher: Watcher) -> None:
        async def deliver(change: Change[PodVersion]) -> None:
            self._events.stand_back()
            match change:
                case Added(object=version) | Modified(object=version):
                    placed = await self._nodes.placed(version, node)
                    watcher.pod_seen(placed._replace(waits_for_material=True))
                case Deleted(uid=uid):
                    watcher.pod_gone(PodUid(uid))
                case Synced(first=first):
                    log.info("watch.synced", node=node, first=first)
                    watcher.synced()

        source = Source(path=PODS, field_selector=f"spec.nodeName={node}")
        reflector = Reflector(
            self._api, source, decode=read_version, deliver=deliver, pace=self._pace
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._nodes.follow(node), name=f"follow-place-{node}")
                tasks.create_task(reflector.run(), name=f"follow-pods-{node}")
        finally:
            self._events.leave(node)  # with the term, or with the node

    def leave(self, node: NodeName) -> None:
        self._events.leave(node)

    async def write_status(self, write: StatusWrite, timeout_s: float) -> PodVersion:
        self._events.stand_back()
        path = f"{_path(write.pod.metadata.namespace, write.pod.metadata.name)}/status"
        body = await self._send("PATCH", path, write.patch, STRATEGIC_MERGE, timeout_s)
        try:
            return read_version(body)
        except msgspec.DecodeError as error:
            raise ActFailedError(f"the answer to a status write is no pod: {error}") from error

    async def remove(self, pod: Pod, timeout_s: float) -> None:
        options = delete_options(pod.metadata.uid, grace_period_s=0)
        path = _path(pod.metadata.namespace, pod.metadata.name)
        await self._send("DELETE", path, options, "application/json", timeout_s)

    async def create(self, namespace: str, pod: Json, timeout_s: float) -> Pod:
        """Create a pod object; raises `NameTakenError`, and `ActFailedError` for all else."""
        path, body = f"/api/v1/namespaces/{namespace}/pods", msgspec.json.encode(pod)
        try:
            answer = await self._api.request("POST", path, body=body, timeout_s=timeout_s)
            return pod_from_json(answer.body)
        except ConflictError as error:
            raise NameTakenError(str(error)) from error
        except (ApiError, msgspec.DecodeError) as error:
            # Even a refusal may end: a namespace that appears, a quota that is raised.
            raise ActFailedError(str(error), getattr(error, "retry_after_s", None)) from error

    async def find(self, namespace: str, name: str, timeout_s: float) -> Pod | None:
        try:
            answer = await self._api.request("GET", _path(namespace, name), timeout_s=timeout_s)
            return pod_from_json(answer.body)
        except NotFoundError as error:
            if error.reason == "NotFound":
                return None
            raise ActFailedError(str(error)) from error
        except (ApiError, msgspec.DecodeError) as error:
            raise ActFailedError(str(error)) from error

    def tell(self, node: NodeName, pod: Pod, what: Occurrence) -> None:
        ref = ObjectRef(
            kind="Pod",
            name=pod.metadata.name,
            namespace=pod.metadata.namespace,
            uid=pod.metadata.uid,
            resource_version=pod.metadata.resource_version,
            field_path=field_path_of(pod, what.container),
        )
        self._events.of(node).emit(ref, what.type, what.reason, what.message, what.at)

    async def _send(
        self, method: str, path: str, body: bytes, content_type: str, timeout_s: float
    ) -> bytes:
        try:
            answer = await self._api.request(
                method, path, body=body, content_type=content_type, timeout_s=timeout_s
            )
        except (NotFoundError, ConflictError) as error:
            raise PodAbsentError(str(error)) from error
        except ApiError as error:
            if error.retryable:
                raise ActFailedError(str(error), error.retry_after_s) from error
            raise WriteRefusedError(str(error)) from error
        return answer.body


class Contact:
    """Whether the API server answers, for `/readyz`: it is asked every few seconds."""

    def __init__(self, api: Api, interval_s: float) -> None:
        self._api = api
        self._interval_s = interval_s
        self._answered_at = float("-inf")

    @property
    def stands(self) -> bool:
        """Whether it answered lately."""
        return time.monotonic() - self._answered_at < 3 * self._interval_s

    async def watch(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                await self._api.request("GET", "/version", timeout_s=self._interval_s)
                self._answered_at = time.monotonic()
            except ApiError as error:
                log.warning("api.unreachable", reason=str(error))
            await asyncio.sleep(self._interval_s)


def field_path_of(pod: Pod, container: str | None) -> str:
    """What an Event is about: a container by its name, or the pod as a whole."""
    if not container:
        return ""
    for placed in pod.spec.placed():
        if placed.container.name == container:
            kind, _, _ = placed.path.partition("[")
            return f"{kind}{{{container}}}"
    return f"spec.containers{{{container}}}"


def _path(namespace: str, name: str) -> str:
    return object_path(PODS, namespace, name)
