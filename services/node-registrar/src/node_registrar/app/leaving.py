"""`python -m node_registrar.app.leaving`: take our Nodes out of the cluster, before an uninstall.

The order is what matters. First the mark, so that no registrar creates anew what goes; then every
Node is cordoned, its pods are evicted as `kubectl drain` does (disruption budgets hold), and when
they are gone the Node is deleted and its host let go. If pods stay for too long, nothing is
deleted. An API server that is away is asked again, until the time is up. Whatever ends it early, a
signal too: the mark is taken back, so that the registrar of an installation that stays creates
Nodes again, and the exit code says so.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from contract.ids import NodeName
from kubekit.backoff import Backoff
from kubekit.client import Api, Response, api_client
from kubekit.errors import (
    ApiError,
    ConflictError,
    KubekitError,
    NotFoundError,
    TooManyRequestsError,
)
from kubekit.patches import MERGE, delete_options, object_patch
from node_registrar.domain.granting import INCARNATION
from node_registrar.domain.hosts import hold_of, host_name
from node_registrar.domain.node_view import HostView
from node_registrar.errors import ClusterAccessError, RegistrarError
from node_registrar.kube import LEAVING_MARK, NODES, installation_path
from node_registrar.settings import IN_CLUSTER, require_installation
from servicekit.errors import StopRequested
from servicekit.running import raise_on_signal, run_service
from servicekit.settings import Seconds, ServiceSettings

MIRROR: Final = "kubernetes.io/config.mirror"
_LOOK_S: Final = 1.0
_SPARE_S: Final = 60.0
"""Beside the drain, for an API server that is away. The chart's job may take as much once more, to
take the mark back."""
_UNMARK_TRIES: Final = 10

log = structlog.get_logger()


class LeavingSettings(ServiceSettings, frozen=True, kw_only=True):
    """What is to be taken away."""

    kubeconfig: str = IN_CLUSTER
    installation: str
    """`NAMESPACE/NAME` of the ConfigMap that gets the mark."""
    host_prefix: str
    """Ours are the Nodes that stand beside another by this prefix."""
    drain_s: Seconds = 120.0
    """For how long pods may take to go, all together."""

    def __post_init__(self) -> None:
        require_installation(self.installation)


class StillBusyError(RegistrarError):
    """Pods did not go in time: nothing was deleted."""

    def __init__(self, pods: Sequence[str]) -> None:
        self.pods = pods
        some = ", ".join(sorted(pods)[:5])
        super().__init__(f"{len(pods)} pods did not go: {some}; nothing was deleted")


class InterruptedLeavingError(RegistrarError):
    """Somebody wants this to end: what was evicted is gone, the rest stays."""


async def leave(settings: LeavingSettings) -> None:
    """Mark, drain, delete; a signal ends it as a failure does."""
    try:
        async with asyncio.TaskGroup() as tasks:
            signals = tasks.create_task(raise_on_signal(), name="signals")
            await _leave(settings)
            signals.cancel()
    except* StopRequested as stop:
        raise InterruptedLeavingError("told to stop before the Nodes were gone") from stop


async def _leave(settings: LeavingSettings) -> None:
    path = None if settings.kubeconfig == IN_CLUSTER else Path(settings.kubeconfig)
    agent = f"wasmlet-leaving/{version('node-registrar')}"
    try:
        async with api_client(path, user_agent=agent) as api:
            await Departure(api, settings).run()
    except KubekitError as error:
        raise ClusterAccessError(str(error)) from error


class Departure:
    """One uninstallation."""

    def __init__(self, api: Api, settings: LeavingSettings) -> None:
        self._api = api
        self._prefix = settings.host_prefix
        self._drain_s = settings.drain_s
        self._installation = installation_path(settings.installation)
        self._until = time.monotonic() + settings.drain_s + _SPARE_S
        self._backoff = Backoff(random.random, initial_s=0.4, maximum_s=5.0)

    async def run(self) -> None:
        """Take everything away, or raise and leave an installation that goes on."""
        try:
            await self._ask("PATCH", self._installation, body=_mark("true"), content_type=MERGE)
            log.info("installation.marked")
            nodes = await self._nodes()
            for node in nodes:
                await self._patch(node.metadata.name, object_patch(node.metadata.uid, spec=_CORDON))
            await self._drain([node.metadata.name for node in nodes])
            for node in nodes:
                await self._delete(node)
        except BaseException:
            await self._take_mark_back()
            raise

    async def _take_mark_back(self) -> None:
        """Try for a while: with the mark, the Nodes of what stays would be missed for ever."""
        for tries_left in reversed(range(_UNMARK_TRIES)):
            try:
                body = _mark(None)
                await self._api.request("PATCH", self._installation, body=body, content_type=MERGE)
                log.info("installation.unmarked")
            except NotFoundError:
                return
            except ApiError as error:
                if tries_left and error.retryable:
                    await asyncio.sleep(_LOOK_S)
                    continue
                log.error("installation.still_marked", annotation=LEAVING_MARK, reason=str(error))  # noqa: TRY400 - the failure itself is raised
            return

    async def _ask(self, method: str, path: str, **more: Any) -> Response:
        """Ask, and again while that may help; raises the `ApiError` that is left in the end."""
        while True:
            try:
                answer = await self._api.request(method, path, **more)
            except ApiError as error:
                now = time.monotonic()
                delay_s = self._backoff.delay_s(now, retry_after_s=error.retry_after_s)
                if not error.retryable or now + delay_s > self._until:
                    raise
                log.warning("api_server.away", reason=str(error), retry_in_s=round(delay_s, 1))
                await asyncio.sleep(delay_s)
            else:
                self._backoff.reset()
                return answer

    async def _nodes(self) -> list[HostView]:
        answer = await self._ask("GET", NODES)
        found = msgspec.json.decode(answer.body, type=_Nodes).items
        return [each for each in found if self._is_ours(each)]

    def _is_ours(self, node: HostView) -> bool:
        meta = node.metadata
        host = host_name(NodeName(meta.name), self._prefix)
        owners = {each["name"] for each in meta.owner_references if each.get("kind") == "Node"}
        return INCARNATION in meta.annotations and host in owners

    async def _drain(self, nodes: Sequence[str]) -> None:
        until = time.monotonic() + self._drain_s
        while pods := [pod for node in nodes for pod in await self._pods(node)]:
            if time.monotonic() > until:
                raise StillBusyError([_path(pod) for pod in pods])
            for pod in pods:
                if "deletionTimestamp" not in pod["metadata"] and not await self._evict(pod):
                    break
            await asyncio.sleep(_LOOK_S)

    async def _pods(self, node: str) -> list[dict[str, Any]]:
        """Those that a drain ends: neither mirrors nor a DaemonSet's."""
        query = {"fieldSelector": f"spec.nodeName={node}"}
        answer = await self._ask("GET", "/api/v1/pods", query=query)
        items: list[dict[str, Any]] = msgspec.json.decode(answer.body)["items"]
        return [pod for pod in items if not _stays(pod["metadata"])]

    async def _evict(self, pod: dict[str, Any]) -> bool:
        """Return whether the API server has answered: without it the others need not be tried."""
        meta = pod["metadata"]
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
            "deleteOptions": {"preconditions": {"uid": meta["uid"]}},
        }
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/eviction"
        try:
            await self._api.request("POST", path, body=msgspec.json.encode(eviction))
            log.info("pod.evicted", pod=_path(pod))
        except ApiError as error:
            # A conflict: another pod has the name by now. The next look shows what is there.
            answered = isinstance(error, (TooManyRequestsError, NotFoundError, ConflictError))
            if not answered and not error.retryable:
                raise
            log.info("pod.not_evicted", pod=_path(pod), reason=str(error))
            return answered
        return True

    async def _delete(self, node: HostView) -> None:
        name = node.metadata.name
        with suppress(NotFoundError):
            options = delete_options(node.metadata.uid)
            await self._ask("DELETE", f"{NODES}/{name}", body=options)
        log.info("node.deleted", node=name)
        try:
            await self._let_go(name.removeprefix(self._prefix))
        except ApiError as error:
            log.warning("host.not_released", host=name, reason=str(error))

    async def _let_go(self, host: str) -> None:
        answer = await self._ask("GET", f"{NODES}/{host}")
        view = msgspec.json.decode(answer.body, type=HostView)
        annotations = hold_of(view, busy=False)
        if annotations:
            metadata = {"annotations": annotations}
            await self._patch(host, object_patch(view.metadata.uid, metadata=metadata))

    async def _patch(self, node: str, body: bytes) -> None:
        await self._ask("PATCH", f"{NODES}/{node}", body=body, content_type=MERGE)


class _Nodes(msgspec.Struct, frozen=True, kw_only=True):
    items: list[HostView] = []


_CORDON: Final = {"unschedulable": True}


def _mark(value: str | None) -> bytes:
    return msgspec.json.encode({"metadata": {"annotations": {LEAVING_MARK: value}}})


def _stays(metadata: dict[str, Any]) -> bool:
    owners = metadata.get("ownerReferences", [])
    is_daemon = any(each["kind"] == "DaemonSet" and each.get("controller") for each in owners)
    return is_daemon or MIRROR in metadata.get("annotations", {})


def _path(pod: dict[str, Any]) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


if __name__ == "__main__":
    run_service("leaving", LeavingSettings, leave)
