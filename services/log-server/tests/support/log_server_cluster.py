"""The part of an API server that the log-server asks, with answers as a real one (1.36) gives."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from log_server_pki import Authority

from kubekit.signingrequests import PATH
from log_server.kube import ACCESS_REVIEWS, CLIENT_CA, TOKEN_REVIEWS

TOKENS: dict[str, dict[str, Any]] = {
    "admin-token": {"username": "admin", "groups": ["system:masters", "system:authenticated"]},
    "reader-token": {
        "username": "system:serviceaccount:monitoring:prometheus",
        "uid": "f0a7",
        "groups": ["system:serviceaccounts", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/node-name": ["n1"]},
    },
    "nobody-token": {"username": "nobody", "groups": ["system:authenticated"]},
}

_SUBRESOURCES = (
    *("proxy", "stats", "metrics", "log", "pods", "healthz", "configz"),
    "checkpoint",
)

# user -> (verb, subresource) that its roles allow.
RULES: dict[str, set[tuple[str, str]]] = {
    "admin": {
        (verb, subresource)
        for verb in ("get", "create", "update", "patch", "delete")
        for subresource in _SUBRESOURCES
    },
    "kube-apiserver-kubelet-client": {("get", "proxy"), ("create", "proxy")},
    "system:serviceaccount:monitoring:prometheus": {("get", "metrics"), ("get", "pods")},
    "proxy-reader": {("get", "proxy")},
}


class Cluster:
    """Counts what it is asked, and may be away."""

    def __init__(self, client_ca: str) -> None:
        self.client_ca = client_ca
        self.token_reviews: list[str] = []
        self.access_reviews: list[dict[str, Any]] = []
        self.rules = {user: set(rules) for user, rules in RULES.items()}
        self.client_ca_reads = 0
        self.signing_requests: list[dict[str, Any]] = []
        self.away = False
        self.delay_s = 0.0

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._perhaps_away])
        application.router.add_post(TOKEN_REVIEWS, self._token)
        application.router.add_post(ACCESS_REVIEWS, self._access)
        application.router.add_get(CLIENT_CA, self._client_ca)
        application.router.add_get("/version", self._version)
        application.router.add_post(PATH, self._ask_signature)
        application.router.add_get(f"{PATH}/{{name}}", self._signing_request)
        return application

    @web.middleware
    async def _perhaps_away(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.away:
            return web.Response(status=503, text="the server is currently unable")
        await asyncio.sleep(self.delay_s)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _token(self, request: web.Request) -> web.Response:
        review = await request.json()
        token = review["spec"]["token"]
        self.token_reviews.append(token)
        user = TOKENS.get(token)
        review["status"] = (
            {"authenticated": True, "user": user, "audiences": ["https://kubernetes.default.svc"]}
            if user
            else {"user": {}, "error": "[invalid bearer token, token lookup failed]"}
        )
        return web.json_response(review, status=201)

    async def _access(self, request: web.Request) -> web.Response:
        review = await request.json()
        spec = review["spec"]
        self.access_reviews.append(spec)
        attributes = spec["resourceAttributes"]
        asked = (attributes["verb"], attributes["subresource"])
        allowed = attributes["resource"] == "nodes" and asked in self.rules.get(spec["user"], ())
        review["status"] = {"allowed": True, "reason": "RBAC"} if allowed else {"allowed": False}
        return web.json_response(review, status=201)

    async def _client_ca(self, _request: web.Request) -> web.Response:
        self.client_ca_reads += 1
        data = {"client-ca-file": self.client_ca, "requestheader-allowed-names": "[]"}
        return web.json_response({"kind": "ConfigMap", "apiVersion": "v1", "data": data})

    async def _ask_signature(self, request: web.Request) -> web.Response:
        asked = await request.json()
        asked["metadata"]["name"] = str(len(self.signing_requests))
        asked["status"] = {}
        self.signing_requests.append(asked)
        return web.json_response(asked, status=201)

    async def _signing_request(self, request: web.Request) -> web.Response:
        return web.json_response(self.signing_requests[int(request.match_info["name"])])

    def sign(self, number: int, authority: Authority) -> None:
        """As somebody who approves, and the signer after him."""
        asked = self.signing_requests[number]
        pem = authority.sign(base64.b64decode(asked["spec"]["request"]))
        asked["status"] = {
            "conditions": [{"type": "Approved", "status": "True"}],
            "certificate": base64.b64encode(pem).decode(),
        }

    def deny(self, number: int) -> None:
        """As an administrator."""
        self.signing_requests[number]["status"] = {
            "conditions": [{"type": "Denied", "status": "True", "reason": "No"}]
        }

    async def _version(self, _request: web.Request) -> web.Response:
        return web.json_response({"major": "1", "minor": "36"})


@asynccontextmanager
async def serving(cluster: Cluster, folder: Path) -> AsyncIterator[Path]:
    """Serve it, and give a kubeconfig for it."""
    runner = web.AppRunner(cluster.application())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(
            '{"current-context": "c",'
            f' "clusters": [{{"name": "c", "cluster": {{"server": "http://127.0.0.1:{port}"}}}}],'
            ' "contexts": [{"name": "c", "context": {"cluster": "c"}}]}'
        )
        yield kubeconfig
    finally:
        await runner.cleanup()
