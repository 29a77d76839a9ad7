"""Who may pass a listener: every path against every identity, over real TLS."""

import asyncio
import datetime as dt
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from log_server_pki import Authority
from log_server_world import LOGS, NODE, OTHER, eventually, world

from contract.messages.usage import FileSystem, FileUsage, Usage, UsageShown

API_SERVER = "kube-apiserver-kubelet-client"
PROMETHEUS = "system:serviceaccount:monitoring:prometheus"

# path, then the status for: nobody, wrong token, admin, API server, prometheus, nobody-token
TABLE = [
    ("GET", "/healthz", 200, 200, 200, 200, 200, 200),
    ("POST", "/healthz", 401, 401, 200, 200, 403, 403),
    ("GET", "/healthz/", 401, 401, 404, 404, 403, 403),
    ("GET", "/healthz/ping", 401, 401, 200, 200, 403, 403),
    ("GET", "/healthz/log", 401, 401, 200, 200, 403, 403),
    ("GET", "/healthz/syncloop", 401, 401, 200, 200, 403, 403),
    ("GET", "/healthz/nothing", 401, 401, 404, 404, 403, 403),
    ("GET", "/pods", 401, 401, 200, 200, 200, 403),
    ("GET", "/pods/", 401, 401, 404, 404, 404, 403),
    ("POST", "/pods", 401, 401, 405, 405, 403, 403),
    ("HEAD", "/pods", 401, 401, 403, 403, 403, 403),
    ("GET", LOGS, 401, 401, 200, 200, 403, 403),
    ("GET", "/containerLogs/default/p", 401, 401, 404, 404, 403, 403),
    ("POST", LOGS, 401, 401, 405, 405, 403, 403),
    ("GET", "/metrics/resource", 401, 401, 200, 403, 200, 403),
    ("GET", "/stats/summary", 401, 401, 200, 403, 403, 403),
    ("GET", "/metrics/slis", 401, 401, 200, 403, 200, 403),
    ("DELETE", "/metrics/slis", 401, 401, 200, 403, 403, 403),
    ("GET", "/logs/", 401, 401, 405, 403, 403, 403),
    ("GET", "/logs/syslog", 401, 401, 405, 403, 403, 403),
    ("GET", "/configz", 401, 401, 200, 200, 403, 403),
    ("GET", "/runningpods/", 401, 401, 200, 200, 200, 403),
    ("GET", "/runningpods", 401, 401, 404, 404, 404, 403),
    ("POST", "/runningpods/", 401, 401, 405, 405, 403, 403),
    ("POST", "/checkpoint/default/p/c", 401, 401, 404, 403, 403, 403),
    ("GET", "/checkpoint/default/p/c", 401, 401, 405, 403, 403, 403),
    ("POST", "/run/default/p/c?cmd=exit+0", 401, 401, 200, 200, 403, 403),
    ("POST", "/run/default/p/u-1/c?cmd=exit+0", 401, 401, 200, 200, 403, 403),
    ("GET", "/run/default/p/c?cmd=exit+0", 401, 401, 405, 405, 403, 403),
    ("POST", "/run/default/p", 401, 401, 404, 404, 403, 403),
    ("GET", "/debug/pprof/", 401, 401, 405, 405, 403, 403),
    ("GET", "/debug/pprof/heap", 401, 401, 405, 405, 403, 403),
    ("PUT", "/debug/flags/v", 401, 401, 405, 403, 403, 403),
    ("GET", "/debug", 401, 401, 404, 404, 403, 403),
    ("GET", "/exec/default/p/c", 401, 401, 400, 400, 403, 403),
    ("POST", "/exec/default/p/c", 401, 401, 400, 400, 403, 403),
    ("POST", "/exec/default/p/u-1/c", 401, 401, 400, 400, 403, 403),
    ("POST", "/attach/default/p/c", 401, 401, 400, 400, 403, 403),
    ("POST", "/portForward/default/p", 401, 401, 400, 400, 403, 403),
    ("PUT", "/exec/default/p/c", 401, 401, 405, 405, 403, 403),
    ("POST", "/exec", 401, 401, 404, 404, 403, 403),
    ("GET", "/nothing/here", 401, 401, 404, 404, 403, 403),
    ("GET", "//pods", 401, 401, 404, 404, 403, 403),
    ("GET", "/docs", 401, 401, 404, 404, 403, 403),
    ("GET", "/openapi.json", 401, 401, 404, 404, 403, 403),
    ("OPTIONS", "/nothing", 401, 401, 403, 403, 403, 403),
]

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOTHING = Usage(at=NOW, since=NOW, core_nanoseconds=1, memory_bytes=1)
AT_REST = UsageShown(
    node=NOTHING,
    services=NOTHING,
    cpu_millis=1000,
    memory_capacity_bytes=1,
    file_system=FileSystem(at=NOW, capacity_bytes=2, available_bytes=1),
    images=FileUsage(at=NOW, used_bytes=0),
)


async def test_every_path_answers_every_identity_as_the_kubelet_does(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.executor.log("c").end()
        here.executor.usage = AT_REST
        certificate = here.clients.issue(API_SERVER)
        clients = [
            here.client(),
            here.client(token="wrong-token"),
            here.admin(),
            here.client(certificate=certificate),
            here.client(token="reader-token"),
            here.client(token="nobody-token"),
        ]
        seen = []
        for method, path, *_ in TABLE:
            answers = [await client.request(method, path) for client in clients]
            seen.append((method, path, *(answer.status_code for answer in answers)))
        assert seen == TABLE
        for client in clients:
            await client.aclose()


async def test_refusals_have_the_kubelets_texts(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        async with here.client() as client:
            nobody = await client.get("/pods")
            assert (nobody.status_code, nobody.text) == (401, "Unauthorized")
            assert nobody.headers["content-type"].startswith("text/plain")
        async with here.client(token="nobody-token") as client:
            forbidden = await client.get("/pods")
        assert forbidden.status_code == 403
        assert forbidden.text == (
            "Forbidden (user=nobody, verb=get, resource=nodes, subresource(s)=[pods proxy])\n"
        )


async def test_a_review_names_the_node_of_the_listener_and_all_of_the_user(tmp_path: Path) -> None:
    async with world(tmp_path, nodes=(NODE, OTHER)) as here:
        async with here.client(token="reader-token", node=OTHER) as client:
            await client.get("/metrics/cadvisor")
        (spec,) = here.cluster.access_reviews
        assert spec == {
            "user": PROMETHEUS,
            "uid": "f0a7",
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "extra": {"authentication.kubernetes.io/node-name": ["n1"]},
            "resourceAttributes": {
                "verb": "get",
                "version": "v1",
                "resource": "nodes",
                "subresource": "metrics",
                "name": OTHER,
            },
        }


async def test_a_certificates_user_is_authenticated_and_needs_a_role(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        masters = here.clients.issue("breakglass", "system:masters", "team-a")
        async with here.client(certificate=masters, token="admin-token") as client:
            assert (await client.get("/pods")).status_code == 403  # the certificate decides
        assert here.cluster.token_reviews == []
        assert here.cluster.access_reviews[0]["user"] == "breakglass"
        assert here.cluster.access_reviews[0]["groups"] == [
            "system:masters",
            "team-a",
            "system:authenticated",
        ]


async def test_who_may_only_read_through_the_proxy_may_not_exec_by_get(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        certificate = here.clients.issue("proxy-reader")
        async with here.client(certificate=certificate) as client:
            assert (await client.get("/nothing")).status_code == 404
            for path in ("/exec/ns/p/c", "/attach/ns/p/c", "/portForward/ns/p", "/run/ns/p/c"):
                assert (await client.get(path)).status_code == 403, path


async def test_verdicts_are_remembered_as_long_as_the_settings_say(tmp_path: Path) -> None:
    now = time.monotonic()
    async with world(tmp_path, deny_cache_s=30.0, allow_cache_s=300.0) as here:
        here.server._access._clock = lambda: now
        async with here.client(token="reader-token") as client:
            for _ in range(3):
                assert (await client.get("/pods")).status_code == 200
            assert (await client.get("/stats/summary")).status_code == 403
            assert (await client.get("/stats/summary")).status_code == 403
            assert len(here.cluster.token_reviews) == 1
            assert len(here.cluster.access_reviews) == 2
            here.cluster.rules[PROMETHEUS].add(("get", "stats"))
            now += 29.9
            assert (await client.get("/stats/summary")).status_code == 403
            assert len(here.cluster.access_reviews) == 2
            now += 0.2
            assert (await client.get("/stats/summary")).status_code != 403
            assert (await client.get("/pods")).status_code == 200
            assert len(here.cluster.access_reviews) == 3
            now += 300.0
            assert (await client.get("/pods")).status_code == 200
            assert len(here.cluster.access_reviews) == 4
            assert len(here.cluster.token_reviews) == 2
        async with here.client(token="wrong-token") as client:
            for _ in range(3):
                assert (await client.get("/pods")).status_code == 401
            assert len(here.cluster.token_reviews) == 3


async def test_without_the_api_server_only_remembered_verdicts_count(tmp_path: Path) -> None:
    async with world(tmp_path, review_timeout_s=0.3, token_cache_s=3600) as here:
        certificate = here.clients.issue(API_SERVER)
        async with here.admin() as admin, here.client(certificate=certificate) as api_server:
            assert (await admin.get("/pods")).status_code == 200
            here.cluster.away = True
            assert (await admin.get("/pods")).status_code == 200
            refused = await api_server.get("/pods")
            assert refused.status_code == 500
            assert refused.text == (
                f"Authorization error (user={API_SERVER}, verb=get, resource=nodes, "
                "subresource=pods)"
            )
            async with here.client(token="reader-token") as stranger:
                unknown = await stranger.get("/pods")
                assert (unknown.status_code, unknown.text) == (401, "Unauthorized")
                assert here.server.unready() is not None
                here.cluster.away = False  # nothing of that was remembered
                assert (await stranger.get("/pods")).status_code == 200
            assert (await api_server.get("/pods")).status_code == 200
            await eventually(lambda: here.server.unready() is None)


async def test_many_who_ask_the_same_at_once_cost_one_review(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        here.cluster.delay_s = 0.2
        async with asyncio.TaskGroup() as tasks:
            answers = [tasks.create_task(client.get("/pods")) for _ in range(20)]
        assert {answer.result().status_code for answer in answers} == {200}
        assert len(here.cluster.token_reviews) == 1
        assert len(here.cluster.access_reviews) == 1


async def test_a_certificate_of_another_authority_does_not_get_in(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        stranger = Authority(tmp_path, "client-ca").issue(API_SERVER)
        async with here.client(certificate=stranger) as client:
            with pytest.raises(httpx.TransportError):
                await client.get("/healthz")


async def test_an_expired_certificate_does_not_get_in(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        expired = here.clients.issue(API_SERVER, lifetime=dt.timedelta(seconds=-10))
        async with here.client(certificate=expired) as client:
            with pytest.raises(httpx.TransportError):
                await client.get("/healthz")


async def test_a_certificate_that_expires_ends_with_its_time_on_an_open_connection(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as here:
        short = here.clients.issue(API_SERVER, lifetime=dt.timedelta(minutes=5))
        async with here.client(certificate=short) as client:
            assert (await client.get("/pods")).status_code == 200
            here.server._access._wall = lambda: time.time() + 301
            assert (await client.get("/pods")).status_code == 401


async def test_without_a_cluster_only_healthz_answers(tmp_path: Path) -> None:
    async with world(tmp_path, kube=False, node_address="", bind_address="") as here:
        await eventually(lambda: NODE in here.peers.control.announced)
        assert here.peers.control.announced[NODE].address == "127.0.0.1"
        async with here.client(token="admin-token") as client:
            assert (await client.get("/healthz")).status_code == 200
            for path in ("/pods", LOGS, "/nothing"):
                answer = await client.get(path)
                assert (answer.status_code, answer.text) == (401, "Unauthorized"), path
        assert here.cluster.token_reviews == []
        stranger = Authority(tmp_path).issue(API_SERVER)
        async with here.client(certificate=stranger) as client:
            with pytest.raises(httpx.TransportError):
                await client.get("/pods")
