"""The small API server's other objects: ConfigMaps, Secrets and Services, as pods name them."""

import asyncio
import base64
import json
from typing import Any

from aiohttp import web

type Json = dict[str, Any]


def config_map(name: str, data: dict[str, str], **more: Any) -> Json:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
    return {"kind": "ConfigMap", "metadata": metadata, "data": data, **more}


def secret(name: str, data: dict[str, bytes]) -> Json:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
    return {"kind": "Secret", "metadata": metadata, "data": encoded}


def service(name: str, cluster_ip: str, *ports: Json, namespace: str = "default") -> Json:
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}"}
    spec = {"clusterIP": cluster_ip, "ports": list(ports)}
    return {"kind": "Service", "metadata": metadata, "spec": spec}


def claim(name: str, volume: str, phase: str = "Bound") -> Json:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
    spec = {"volumeName": volume}
    kind = "PersistentVolumeClaim"
    return {"kind": kind, "metadata": metadata, "spec": spec, "status": {"phase": phase}}


def volume(name: str, claimed_by: str, **source: Any) -> Json:
    spec = {"claimRef": {"uid": f"uid-{claimed_by}"}, "accessModes": ["ReadWriteOnce"], **source}
    return {"kind": "PersistentVolume", "metadata": {"name": name, "namespace": None}, "spec": spec}


class StoredObjects:
    """ConfigMaps and Secrets by plural and name; Services, which may be watched."""

    def __init__(self) -> None:
        self.named: dict[tuple[str, str], Json] = {}
        self.reads: list[str] = []
        """The paths of all reads by name."""
        self.stalled: set[str] = set()
        """The names whose reads are never answered; `services` is the list of them."""
        self.services: list[Json] = []
        self.token_requests: list[Json] = []
        self.token_life_s = 3607.0
        self.refuse_tokens = ""
        self.listed: list[str] = []
        """The paths of all lists of Services, with their selectors."""
        self._watches: list[asyncio.Queue[Json | None]] = []
        self._version = 1

    def put(self, obj: Json) -> None:
        plural = obj["kind"].lower() + "s"
        self.named[plural, obj["metadata"]["name"]] = obj

    def drop(self, plural: str, name: str) -> None:
        del self.named[plural, name]

    def put_service(self, obj: Json) -> None:
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        self.services.append(obj)
        for watch in self._watches:
            watch.put_nowait({"type": "ADDED", "object": obj})

    def reads_of(self, name: str) -> int:
        return sum(path.endswith(f"/{name}") for path in self.reads)

    def end_watches(self) -> None:
        for watch in self._watches:
            watch.put_nowait(None)

    def routes(self) -> list[web.RouteDef]:
        plurals = "configmaps|secrets|persistentvolumeclaims"
        account = "/api/v1/namespaces/{namespace}/serviceaccounts/{name}"
        return [
            web.get(f"/api/v1/namespaces/{{namespace}}/{{plural:{plurals}}}/{{name}}", self._get),
            web.get("/api/v1/{plural:persistentvolumes}/{name}", self._get),
            web.post(f"{account}/token", self._token),
            web.get("/api/v1/services", self._services),
            web.get("/api/v1/namespaces/{namespace}/services", self._services),
        ]

    async def _get(self, request: web.Request) -> web.Response:
        self.reads.append(request.path)
        plural, name = request.match_info["plural"], request.match_info["name"]
        if name in self.stalled:
            await asyncio.Event().wait()
        obj = self.named.get((plural, name))
        if obj is None or obj["metadata"]["namespace"] != request.match_info.get("namespace"):
            message = f'{plural} "{name}" not found'
            status = {"kind": "Status", "code": 404, "reason": "NotFound", "message": message}
            return web.json_response(status, status=404)
        return web.json_response(obj)

    async def _token(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        if self.refuse_tokens:
            status = {"kind": "Status", "code": 404, "reason": "NotFound"}
            return web.json_response(status | {"message": self.refuse_tokens}, status=404)
        self.token_requests.append(body | {"path": request.path})
        spec = body["spec"] | {"expirationSeconds": self.token_life_s}
        status = {"token": f"token-{len(self.token_requests)}"}
        return web.json_response(body | {"spec": spec, "status": status}, status=201)

    async def _services(self, request: web.Request) -> web.StreamResponse:
        namespace = request.match_info.get("namespace")
        if not request.query.get("watch"):
            self.listed.append(f"{request.path} {request.query.get('fieldSelector', '')}".strip())
            if "services" in self.stalled:
                await asyncio.Event().wait()
            items = [
                each for each in self.services if namespace in (None, each["metadata"]["namespace"])
            ]
            metadata = {"resourceVersion": str(self._version)}
            return web.json_response({"kind": "ServiceList", "metadata": metadata, "items": items})
        events: asyncio.Queue[Json | None] = asyncio.Queue()
        self._watches.append(events)
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while (event := await events.get()) is not None:
                await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self._watches.remove(events)
        return response
