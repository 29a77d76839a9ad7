"""Pods of a benchmark: created through the API, watched until they have reached a phase."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from kubekit.client import Api
from kubekit.errors import NotFoundError

NAMESPACE: Final = "default"
PODS: Final = f"/api/v1/namespaces/{NAMESPACE}/pods"
TOLERATIONS: Final = [{"operator": "Exists"}]
CREATORS: Final = 20
"""Requests in flight while a burst is created."""


class PodWatch:
    """Sees every pod of the namespace, and knows when each reached a phase."""

    def __init__(self) -> None:
        self._phases: dict[str, str] = {}
        self._seen_at: dict[tuple[str, str], float] = {}
        self._changed = asyncio.Condition()

    async def follow(self, api: Api) -> None:
        """Watch until cancelled."""
        async for now, event in events(api, PODS, {}):
            async with self._changed:
                self._note(event["type"], event["object"], now)
                self._changed.notify_all()

    def _note(self, kind: str, pod: Mapping[str, Any], now: float) -> None:
        name = pod["metadata"]["name"]
        phase = "Deleted" if kind == "DELETED" else pod["status"].get("phase", "")
        if self._phases.get(name) != phase:
            self._phases[name] = phase
            self._seen_at[name, phase] = now

    async def reached(self, names: list[str], phase: str, timeout_s: float) -> float:
        """Return when the last of these pods was seen in a phase (performance counter)."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(
                lambda: all((name, phase) in self._seen_at for name in names)
            )
        return max(self._seen_at[name, phase] for name in names)


async def events(
    api: Api, path: str, query: Mapping[str, str]
) -> AsyncIterator[tuple[float, dict[str, Any]]]:
    """Yield (performance counter, watch event) from now on, for ever.

    The API server closes a watch that cannot keep up: it is opened again where it ended.
    """
    listed = msgspec.json.decode((await api.request("GET", path, query=query)).body)
    version = listed["metadata"]["resourceVersion"]
    while True:
        wanted = {**query, "watch": "1", "resourceVersion": version}
        async with api.lines(path, wanted, read_timeout_s=600) as lines:
            async for line in lines:
                now = time.perf_counter()
                event = msgspec.json.decode(line)
                version = event["object"]["metadata"]["resourceVersion"]
                yield now, event


def pod_body(
    name: str, image: str, node: str | None, target: Mapping[str, str], *, grace_s: int = 1
) -> bytes:
    """Return a pod of one container. With `node` it needs no scheduler."""
    spec: dict[str, Any] = {
        "terminationGracePeriodSeconds": grace_s,
        "automountServiceAccountToken": False,
        "tolerations": TOLERATIONS,
        "nodeSelector": dict(target),
        "containers": [{"name": "main", "image": image, "imagePullPolicy": "IfNotPresent"}],
    }
    if node is not None:
        spec["nodeName"] = node
        del spec["nodeSelector"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    return msgspec.json.encode(pod)


async def create_all(api: Api, bodies: list[bytes]) -> float:
    """Create pods side by side; return when the first request was sent."""
    gate = asyncio.Semaphore(CREATORS)

    async def create(body: bytes) -> None:
        async with gate:
            await api.request("POST", PODS, body=body, timeout_s=60)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for body in bodies:
            tasks.create_task(create(body), name="create")
    return started


async def delete_all(api: Api, names: list[str]) -> None:
    """Delete pods side by side."""
    gate = asyncio.Semaphore(CREATORS)

    async def delete(name: str) -> None:
        async with gate:
            try:
                await api.request("DELETE", f"{PODS}/{name}", timeout_s=60)
            except NotFoundError:
                return

    async with asyncio.TaskGroup() as tasks:
        for name in names:
            tasks.create_task(delete(name), name="delete")


async def status_writes(api: Api) -> float:
    """Return how many status PATCHes of pods the API server has counted so far."""
    return await requests_to(api, 'resource="pods"', 'subresource="status"')


async def requests_to(api: Api, *labels: str) -> float:
    """Return how many requests with these labels the API server has counted so far."""
    text = (await api.request("GET", "/metrics", timeout_s=60)).body.decode()
    total = 0.0
    for line in text.splitlines():
        if not line.startswith("apiserver_request_total{"):
            continue
        if all(label in line for label in labels):
            total += float(line.rsplit(" ", 1)[1])
    return total


@asynccontextmanager
async def watching(api: Api) -> AsyncIterator[PodWatch]:
    """Give a watch that runs beside the body."""
    watch = PodWatch()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(watch.follow(api), name="watch")
        yield watch
        running.cancel()
