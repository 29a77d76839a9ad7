"""A small API server for pods: lists, watches, status patches, deletions, Events, one Lease.

It answers as the recordings of a real one do, for what a reconciler asks; what it is told stays in
`writes` for the tests to read. Validation, defaulting and authorization are the real one's trade.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from reconciler_objects import Json, Write, created, merged_status
from reconciler_store import StoredObjects


class PodApi:
    """Pods by (namespace, name). `url` is known while it is served."""

    def __init__(self) -> None:
        self.pods: dict[tuple[str, str], Json] = {}
        self.writes: list[Write] = []
        self.events: list[Json] = []
        self.objects = StoredObjects()
        self.lease: Json | None = None
        self.renewals: list[Json] = []
        self.runtime_classes: dict[str, str] = {}
        self.class_reads = 0
        self.url = ""
        self.refuse: Callable[[Write], web.Response | None] = lambda _: None
        self.gate: Callable[[web.Request], web.Response | None] = lambda _: None
        """Answers instead, before anything is looked at."""
        self.available = True
        self.lease_available = True
        self.refused_count = 0
        self.lost_answers = 0
        """How many status writes are done and not answered."""
        self.mute = False
        """Watches show nothing of what happens."""
        self._version = 100
        self._watches: list[asyncio.Queue[Json | None]] = []

    # What tests do.

    def create(self, pod: Json) -> None:
        self._put("ADDED", pod)

    def update(self, name: str, change: Callable[[Json], None]) -> None:
        pod = deepcopy(self.pods["default", name])
        change(pod)
        self._put("MODIFIED", pod)

    def delete(self, name: str, grace_s: int = 30) -> None:
        """What `kubectl delete` does: the object stays until its node is done with it."""
        pod = deepcopy(self.pods["default", name])
        if grace_s == 0:
            self._remove(pod)
            return
        pod["metadata"]["deletionTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        pod["metadata"]["deletionGracePeriodSeconds"] = grace_s
        pod["metadata"]["generation"] += 1
        self._put("MODIFIED", pod)

    def pod(self, name: str) -> Json:
        return self.pods["default", name]

    def status_writes(self, name: str) -> list[Write]:
        return [
            write
            for write in self.writes
            if write.method == "PATCH" and write.path.endswith(f"/pods/{name}/status")
        ]

    def deletions(self, name: str) -> list[Write]:
        return [
            write
            for write in self.writes
            if write.method == "DELETE" and write.path.endswith(f"/pods/{name}")
        ]

    @property
    def open_watches(self) -> int:
        return len(self._watches)

    def end_watches(self) -> None:
        for watch in self._watches:
            watch.put_nowait(None)

    def _put(self, kind: str, pod: Json) -> None:
        self._version += 1
        pod["metadata"]["resourceVersion"] = str(self._version)
        self.pods[pod["metadata"]["namespace"], pod["metadata"]["name"]] = pod
        self._tell(kind, pod)

    def _remove(self, pod: Json) -> None:
        self._version += 1
        pod["metadata"]["resourceVersion"] = str(self._version)
        del self.pods[pod["metadata"]["namespace"], pod["metadata"]["name"]]
        self._tell("DELETED", pod)

    def _tell(self, kind: str, pod: Json) -> None:
        if self.mute:
            return
        for watch in self._watches:
            watch.put_nowait({"type": kind, "object": deepcopy(pod)})

    # What it answers.

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator["PodApi"]:
        app = web.Application(middlewares=[self._gate])
        pod = "/api/v1/namespaces/{namespace}/pods/{name}"
        lease = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        app.add_routes(
            [
                web.get("/version", self._say_version),
                web.get("/api/v1/pods", self._list),
                *self.objects.routes(),
                web.get("/apis/node.k8s.io/v1/runtimeclasses/{name}", self._runtime_class),
                web.post("/api/v1/namespaces/{namespace}/pods", self._post),
                web.get(pod, self._get),
                web.patch(f"{pod}/status", self._patch_status),
                web.delete(pod, self._delete),
                web.post("/api/v1/namespaces/{namespace}/events", self._event),
                web.patch("/api/v1/namespaces/{namespace}/events/{name}", self._event),
                web.get(f"{lease}/{{name}}", self._get_lease),
                web.post(lease, self._write_lease),
                web.patch(f"{lease}/{{name}}", self._write_lease),
            ]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self.end_watches()
            self.objects.end_watches()
            await runner.cleanup()

    @web.middleware
    async def _gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if not self.available or (not self.lease_available and "/leases" in request.path):
            self.refused_count += 1
            return failure(503, "ServiceUnavailable", "away")
        if (instead := self.gate(request)) is not None:
            return instead
        response: web.StreamResponse = await handler(request)
        return response

    async def _say_version(self, _: web.Request) -> web.Response:
        return web.json_response({"major": "1", "minor": "36"})

    async def _runtime_class(self, request: web.Request) -> web.Response:
        self.class_reads += 1
        handler = self.runtime_classes.get(request.match_info["name"])
        return missing(request) if handler is None else web.json_response({"handler": handler})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        node = request.query["fieldSelector"].removeprefix("spec.nodeName=")
        if request.query.get("watch"):
            return await self._watch(request, node)
        items = [pod for pod in self.pods.values() if pod["spec"]["nodeName"] == node]
        return web.json_response(
            {
                "kind": "PodList",
                "apiVersion": "v1",
                "metadata": {"resourceVersion": str(self._version)},
                "items": items,
            }
        )

    async def _watch(self, request: web.Request, node: str) -> web.StreamResponse:
        events: asyncio.Queue[Json | None] = asyncio.Queue()
        self._watches.append(events)
        response = web.StreamResponse()
        response.content_type = "application/json"
        await response.prepare(request)
        since = int(request.query["resourceVersion"])
        for pod in self.pods.values():
            if int(pod["metadata"]["resourceVersion"]) > since:
                events.put_nowait({"type": "MODIFIED", "object": pod})
        try:
            while (event := await events.get()) is not None:
                if event["object"]["spec"]["nodeName"] == node:
                    await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self._watches.remove(events)
        return response

    async def _get(self, request: web.Request) -> web.Response:
        pod = self._find(request)
        return missing(request) if pod is None else web.json_response(pod)

    async def _post(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        namespace, name = request.match_info["namespace"], body["metadata"]["name"]
        if (refusal := self._noted("POST", request, body)) is not None:
            return refusal
        if (namespace, name) in self.pods:
            return failure(409, "AlreadyExists", f'pods "{name}" already exists')
        self._put("ADDED", created(body, f"made-{self._version}"))
        return web.json_response(self.pods[namespace, name], status=201)

    async def _patch_status(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        refusal = self._noted("PATCH", request, body)
        pod = self._find(request)
        if refusal is not None or pod is None:
            return refusal or missing(request)
        if body["metadata"]["uid"] != pod["metadata"]["uid"]:
            return failure(409, "Conflict", "the UID in the precondition does not match")
        pod = deepcopy(pod)
        pod["status"] = merged_status(pod["status"], body["status"])
        self._put("MODIFIED", pod)
        if self.lost_answers > 0:
            self.lost_answers -= 1
            return failure(504, "Timeout", "the request may have been done")
        return web.json_response(pod)

    async def _delete(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        refusal = self._noted("DELETE", request, body)
        pod = self._find(request)
        if refusal is not None or pod is None:
            return refusal or missing(request)
        if body["preconditions"]["uid"] != pod["metadata"]["uid"]:
            return failure(409, "Conflict", "the UID in the precondition does not match")
        assert body["gracePeriodSeconds"] == 0
        self._remove(deepcopy(pod))
        return web.json_response(pod)

    async def _event(self, request: web.Request) -> web.Response:
        self.events.append(json.loads(await request.read()))
        return web.json_response({}, status=201)

    async def _get_lease(self, request: web.Request) -> web.Response:
        return missing(request) if self.lease is None else web.json_response(self.lease)

    async def _write_lease(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self._version += 1
        if self.lease is None:
            self.lease = body
            body["metadata"] |= {"uid": "lease-1", "creationTimestamp": "2026-01-01T00:00:00Z"}
        elif body["metadata"].get("resourceVersion") != self.lease["metadata"]["resourceVersion"]:
            return failure(409, "Conflict", "the object has been modified")
        else:
            self.lease["spec"] |= body["spec"]
            self.renewals.append(body["spec"])
        self.lease["metadata"]["resourceVersion"] = str(self._version)
        return web.json_response(self.lease)

    def _find(self, request: web.Request) -> Json | None:
        return self.pods.get((request.match_info["namespace"], request.match_info["name"]))

    def _noted(self, method: str, request: web.Request, body: Json) -> web.Response | None:
        write = Write(method, request.path, body)
        self.writes.append(write)
        return self.refuse(write)


def missing(request: web.Request) -> web.Response:
    return failure(404, "NotFound", f"{request.path} not found")


def failure(code: int, reason: str, message: str) -> web.Response:
    status = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return web.json_response(status, status=code)
