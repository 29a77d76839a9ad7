"""What a listener tells of its node: health, configuration, running pods, and what it refuses."""

import asyncio
from pathlib import Path

import pytest
from log_server_world import LOGS, NODE, eventually, world

from contract.messages.stream import ExecOpen

ALL_WELL = "[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n"
NOT_WELL = "[+]ping ok\n[+]log ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n"


async def test_healthz_says_whether_the_executor_answers(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.client() as client:
        alive = await client.get("/healthz")
        assert (alive.status_code, alive.text) == (200, "ok")
        assert alive.headers["x-content-type-options"] == "nosniff"
        assert (await client.get("/healthz?verbose")).text == ALL_WELL
        await here.peers.leave(NODE)
        for path in ("/healthz", "/healthz?verbose"):
            dead = await client.get(path)
            assert (dead.status_code, dead.text) == (500, NOT_WELL)
        here.peers.server.kill()
        assert (await client.get("/healthz")).status_code == 500


async def test_each_check_answers_for_itself_and_may_be_excluded(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        await here.peers.leave(NODE)
        for check in ("ping", "log"):
            good = await client.get(f"/healthz/{check}")
            assert (good.status_code, good.text) == (200, "ok")
        failed = await client.get("/healthz/syncloop")
        assert failed.status_code == 500
        assert failed.text.startswith("internal server error: ")
        answer = await client.get("/healthz?verbose&exclude=syncloop&exclude=etcd")
        assert answer.status_code == 200
        assert answer.text == (
            "[+]ping ok\n[+]log ok\n[+]syncloop excluded: ok\n"
            'warn: some health checks cannot be excluded: no matches for "etcd"\n'
            "healthz check passed\n"
        )


async def test_slis_count_how_the_checks_ended(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        assert (await client.get("/metrics/slis")).text == ""
        await client.get("/healthz")
        await here.peers.leave(NODE)
        await client.get("/healthz")
        answer = await client.get("/metrics/slis")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        lines = answer.text.splitlines()
        assert "# TYPE kubernetes_healthcheck gauge" in lines
        assert "# TYPE kubernetes_healthchecks_total counter" in lines
        assert [line for line in lines if 'name="syncloop"' in line] == [
            'kubernetes_healthcheck{name="syncloop",type="healthz"} 0',
            'kubernetes_healthchecks_total{name="syncloop",status="error",type="healthz"} 1',
            'kubernetes_healthchecks_total{name="syncloop",status="success",type="healthz"} 1',
        ]
        assert (await client.delete("/metrics/slis")).text == "metrics reset\n"
        assert (await client.get("/metrics/slis")).text == ""


async def test_configz_shows_what_is_in_force(tmp_path: Path) -> None:
    async with world(tmp_path, token_cache_s=90.0) as here, here.admin() as client:
        config = (await client.get("/configz")).json()["kubeletconfig"]
        assert config["kind"] == "KubeletConfiguration"
        assert config["apiVersion"] == "kubelet.config.k8s.io/v1beta1"
        assert (config["address"], config["port"]) == ("127.0.0.1", here.listener().port)
        assert config["authentication"]["webhook"] == {"enabled": True, "cacheTTL": "1m30s"}
        assert config["authorization"]["webhook"]["cacheAuthorizedTTL"] == "5m0s"
        assert config["enableDebuggingHandlers"] is True
        assert config["enableSystemLogHandler"] is False


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/logs/", 405, "logs endpoint is disabled.\n"),
        ("GET", "/logs/pods/secret.log", 405, "logs endpoint is disabled.\n"),
        ("GET", "/debug/pprof/profile", 405, "profiling endpoint is disabled.\n"),
        ("PUT", "/debug/flags/v", 405, "flags endpoint is disabled.\n"),
        (
            "POST",
            "/checkpoint/default/p/c",
            404,
            "checkpointing of default/p/c failed (containers here cannot be checkpointed)",
        ),
        ("POST", "/checkpoint/default/p", 404, "404 page not found\n"),
    ],
)
async def test_what_a_node_has_not_is_refused_in_the_kubelets_words(
    tmp_path: Path, method: str, path: str, status: int, text: str
) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        answer = await client.request(method, path)
        assert (answer.status_code, answer.text) == (status, text)


async def test_without_debugging_handlers_nobody_looks_into_a_container(tmp_path: Path) -> None:
    async with world(tmp_path, enable_debugging_handlers=False) as here, here.admin() as client:
        here.executor.log("c").end()
        for method, path in (
            ("GET", LOGS),
            ("POST", "/exec/default/p/c?command=cat&output=1"),
            ("POST", "/attach/default/p/c"),
            ("POST", "/portForward/default/p"),
            ("POST", "/run/default/p/c?cmd=cat"),
            ("GET", "/runningpods/"),
            ("GET", "/debug/pprof/"),
            ("GET", "/logs/"),
        ):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.text) == (
                405,
                "Debug endpoints are disabled.\n",
            ), path
        for path in ("/configz", "/debug/flags/v"):
            assert (await client.get(path)).status_code == 404
        assert (await client.get("/pods")).status_code == 200
        assert (await client.get("/healthz/ping")).status_code == 200
        assert not here.executor.streams.opened


async def test_run_returns_what_a_command_said(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        good = await client.post("/run/default/p/u-1/c", params={"cmd": "exit 0"})
        assert (good.status_code, good.content) == (200, b"out")
        assert good.headers["content-type"] == "application/json"
        (opened,) = here.executor.streams.opened
        assert isinstance(opened, ExecOpen)
        assert (opened.uid, opened.container, opened.command) == ("u-1", "c", ("exit", "0"))
        failed = await client.post("/run/default/p/c", params={"cmd": "exit 3"})
        assert (failed.status_code, failed.text) == (500, "command 'exit 3' exited with 3: ")
        absent = await client.post("/run/default/p/c", params={"cmd": "absent"})
        assert absent.status_code == 500
        assert "executable file not found" in absent.text
        gone = await client.post("/run/default/gone/c", params={"cmd": "cat"})
        assert (gone.status_code, gone.text) == (404, "pod does not exist")
        await eventually(lambda: not here.executor.streams.live)


async def test_a_client_that_leaves_ends_what_he_runs(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        asking = asyncio.ensure_future(client.post("/run/default/p/c", params={"cmd": "cat"}))
        await eventually(lambda: here.executor.streams.live)
        asking.cancel()
        await eventually(lambda: not here.executor.streams.live)
