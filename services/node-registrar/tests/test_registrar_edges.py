"""The edges to the cluster and to `/healthz`, against recorded answers and a real TLS server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from registrar_peers import host_address, serving_certificate

from contract.ids import NodeName
from kubekit.client import connected
from kubekit.errors import ConflictError, ForbiddenError, NotFoundError, UnreachableError
from kubekit.kubeconfig import Connection
from kubekit.leadership import StaticTerm
from node_registrar.domain.addresses import Endpoint
from node_registrar.healthz import HealthProber, health_prober
from node_registrar.kube import Cluster, NodeLease, Nodes

NODE = NodeName("n")
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LEASE = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "n", "resourceVersion": "5", "uid": "l-1"},
    "spec": {"holderIdentity": "n", "leaseDurationSeconds": 40},
}


def status(code: int, reason: str) -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "code": code, "reason": reason, "message": reason}


NOT_FOUND = status(404, "NotFound")
CONFLICT = status(409, "Conflict")
EXISTS = status(409, "AlreadyExists")


class Recorded:
    """Answers with recorded bytes, in order, and keeps what was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked.append((request.method, request.path, json.loads(body) if body else {}))
        code, answer = self.answers.pop(0)
        return web.json_response(answer, status=code)

    def steps(self) -> list[str]:
        return [method for method, _, _ in self.asked]


@asynccontextmanager
async def served(handler: Callable[..., Any]) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def cluster(recorded: Recorded) -> AsyncIterator[Cluster]:
    async with (
        served(recorded.handle) as url,
        connected(Connection(server=url), user_agent="test") as api,
    ):
        yield Cluster(api, StaticTerm(), 5.0)


@pytest.fixture
def lease(cluster: Cluster) -> NodeLease:
    return NodeLease(cluster, NODE, 40)


async def test_the_first_renewal_looks_and_creates(recorded: Recorded, lease: NodeLease) -> None:
    recorded.answers = [NOT_FOUND, (201, LEASE)]
    await lease.renew("u-1")
    assert recorded.steps() == ["GET", "POST"]
    assert recorded.asked[1][1] == LEASES
    assert recorded.asked[1][2]["spec"]["leaseDurationSeconds"] == 40


async def test_later_renewals_put_the_last_copy_without_reading(
    recorded: Recorded, lease: NodeLease
) -> None:
    later = LEASE | {"metadata": {**LEASE["metadata"], "resourceVersion": "6"}}  # type: ignore[dict-item]  # a mapping
    recorded.answers = [(200, LEASE), (200, later), (200, later)]
    await lease.renew("u-1")
    await lease.renew("u-1")
    assert recorded.steps() == ["GET", "PUT", "PUT"]
    versions = [body["metadata"]["resourceVersion"] for _, _, body in recorded.asked[1:]]
    assert versions == ["5", "6"]


async def test_a_conflict_is_answered_by_a_fresh_copy(recorded: Recorded, lease: NodeLease) -> None:
    recorded.answers = [(200, LEASE), CONFLICT, (200, LEASE), (200, LEASE)]
    await lease.renew("u-1")
    assert recorded.steps() == ["GET", "PUT", "GET", "PUT"]


async def test_a_lease_that_appears_meanwhile_is_renewed(
    recorded: Recorded, lease: NodeLease
) -> None:
    recorded.answers = [NOT_FOUND, EXISTS, (200, LEASE), (200, LEASE)]
    await lease.renew("u-1")
    assert recorded.steps() == ["GET", "POST", "GET", "PUT"]


async def test_a_lease_that_was_collected_is_created_again(
    recorded: Recorded, lease: NodeLease
) -> None:
    recorded.answers = [(200, LEASE), (200, LEASE), NOT_FOUND, NOT_FOUND, (201, LEASE)]
    await lease.renew("u-1")
    await lease.renew("u-2")
    assert recorded.steps() == ["GET", "PUT", "PUT", "GET", "POST"]
    assert recorded.asked[-1][2]["metadata"]["ownerReferences"][0]["uid"] == "u-2"


async def test_conflicts_without_end_are_given_up_until_the_next_turn(
    recorded: Recorded, lease: NodeLease
) -> None:
    recorded.answers = [(200, LEASE), CONFLICT] * 5
    with pytest.raises(ConflictError):
        await lease.renew("u-1")
    assert len(recorded.asked) == 10


async def test_a_missing_role_is_no_reason_to_try_again_at_once(
    recorded: Recorded, lease: NodeLease
) -> None:
    recorded.answers = [status(403, "Forbidden")]
    with pytest.raises(ForbiddenError):
        await lease.renew("u-1")


async def test_a_proxys_404_does_not_say_that_a_node_is_gone(
    recorded: Recorded, cluster: Cluster
) -> None:
    recorded.answers = [(404, {"error": "page not found"}), NOT_FOUND]
    with pytest.raises(NotFoundError):
        await Nodes(cluster).get(NODE)
    assert await Nodes(cluster).get(NODE) is None


async def test_contact_is_an_answer_even_a_refusing_one(
    recorded: Recorded, cluster: Cluster
) -> None:
    assert cluster.silent_s() == float("inf")
    recorded.answers = [status(503, "ServiceUnavailable"), status(403, "Forbidden")]
    with pytest.raises(Exception, match="503"):
        await cluster.read("/version")
    assert cluster.silent_s() == float("inf")
    with pytest.raises(ForbiddenError):
        await cluster.read("/version")
    assert cluster.silent_s() < 5


async def test_a_hanging_api_server_holds_nothing_up_for_long() -> None:
    async def hang(_request: web.BaseRequest) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with (
        served(hang) as url,
        connected(Connection(server=url), user_agent="test") as api,
        asyncio.timeout(5),
    ):
        with pytest.raises(UnreachableError):
            await NodeLease(Cluster(api, StaticTerm(), 0.2), NODE, 40).renew("u-1")


@pytest.fixture
async def prober() -> AsyncIterator[HealthProber]:
    async with health_prober(0.5) as prober:
        yield prober


class Server:
    """A log-server's `/healthz`, and nothing else of it."""

    def __init__(self) -> None:
        self.status = 200
        self.hangs = False

    async def listen(self, stack: AsyncExitStack, folder: Path) -> Endpoint:
        context, fingerprint = serving_certificate(folder, host_address())
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        return Endpoint(
            address="127.0.0.1", port=runner.addresses[0][1], certificate_sha256=fingerprint
        )

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        assert (request.method, request.path) == ("GET", "/healthz")
        if self.hangs:
            await asyncio.sleep(60)
        return web.Response(status=self.status)


async def test_only_the_announced_server_speaks_for_an_executor(
    prober: HealthProber, tmp_path: Path
) -> None:
    server = Server()
    async with AsyncExitStack() as stack:
        endpoint = await server.listen(stack, tmp_path)
        assert await prober.healthy(endpoint)
        forged = msgspec.structs.replace(endpoint, certificate_sha256="00" * 32)
        assert not await prober.healthy(forged)
        unreadable = msgspec.structs.replace(endpoint, certificate_sha256="not hex")
        assert not await prober.healthy(unreadable)
        server.status = 503
        assert not await prober.healthy(endpoint)
        server.status, server.hangs = 200, True
        assert not await prober.healthy(endpoint)
    assert not await prober.healthy(endpoint)
    assert not await prober.healthy(None)
