"""What is known of RuntimeClasses, for how long, and what becomes of pods while it is not."""

import asyncio

import pytest
from aiohttp import web
from reconciler_api import PodApi, failure
from reconciler_objects import api_pod
from reconciler_peer import (
    NODE,
    Executor,
    Registrar,
    StartReconciler,
    container,
    running,
    until,
)

from contract.ids import PodUid
from kubekit.client import connected
from kubekit.kubeconfig import Connection
from kubekit.testing import json_reply, recorded_server, status_reply
from pod_reconciler.domain.material import Lack
from pod_reconciler.runtimeclasses import REMEMBERED_S, RuntimeClasses

CLASS = "wasmtime-wasi"
RETRY_S = 5.0
AWAY = {"objects_retry_s": 0.1}


class _Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


async def test_an_answer_is_asked_for_again_soon_and_a_handler_hardly_ever() -> None:
    clock = _Clock()
    async with (
        recorded_server() as server,
        connected(Connection(server=server.url), user_agent="wasmlet/test") as api,
    ):
        server.will("get", status_reply(403, "Forbidden", "no role"))
        classes = RuntimeClasses(api, RETRY_S, clock)
        asked = await asyncio.gather(*(classes.handler("w") for _ in range(3)))
        refused = Lack(problem="failed to lookup RuntimeClass w: 403 Forbidden: no role")
        assert asked == [(refused, clock.now_s + RETRY_S)] * 3
        assert len(server.asked) == 1
        server.will("get", status_reply(404, "NotFound", "none"), json_reply({"handler": "wasi"}))
        for handler, count in (("", 2), ("wasi", 3)):
            clock.now_s += RETRY_S
            assert await classes.handler("w") == (handler, float("inf"))
            assert len(server.asked) == count
        clock.now_s += REMEMBERED_S - 1
        assert await classes.handler("w") == ("wasi", float("inf"))
        assert len(server.asked) == 3


async def test_a_handler_that_was_known_stays_while_the_api_server_does_not_say() -> None:
    clock = _Clock()
    async with (
        recorded_server() as server,
        connected(Connection(server=server.url), user_agent="wasmlet/test") as api,
    ):
        server.will("get", json_reply({"handler": "wasi"}), status_reply(500, "Internal", "ill"))
        classes = RuntimeClasses(api, RETRY_S, clock)
        for _ in range(2):
            assert await classes.handler("w") == ("wasi", float("inf"))
            clock.now_s += REMEMBERED_S
        assert len(server.asked) == 2


def without_classes(status: int) -> web.Response:
    return failure(status, "Forbidden" if status == 403 else "InternalError", "not today")


def refusing_classes(api: PodApi, status: int) -> None:
    def gate(request: web.Request) -> web.Response | None:
        return without_classes(status) if "/runtimeclasses/" in request.path else None

    api.gate = gate


@pytest.mark.parametrize("status", [403, 500])
async def test_only_a_pod_that_names_a_class_waits_for_it_and_says_so(
    api: PodApi,
    registrar: Registrar,
    executor: Executor,
    reconciler: StartReconciler,
    status: int,
) -> None:
    api.runtime_classes[CLASS] = "wasi"
    refusing_classes(api, status)
    async with reconciler(**AWAY):
        await registrar.grant()
        api.create(api_pod("waits", "u-1", NODE, runtimeClassName=CLASS))
        api.create(api_pod("goes", "u-2", NODE))
        await until(lambda: "u-2" in executor.plans)
        event = (await until(lambda: api.events))[0]
        assert event["reason"] == "FailedCreatePodSandBox"
        assert event["involvedObject"]["name"] == "waits"
        assert f"failed to lookup RuntimeClass {CLASS}: {status}" in event["message"]
        assert "u-1" not in executor.plans
        api.gate = lambda _: None
        await until(lambda: "u-1" in executor.plans)
        plan = executor.plans[PodUid("u-1")].plan
        assert plan is not None
        assert plan.runtime_handler == "wasi"


async def test_a_pod_that_waits_for_its_class_can_be_deleted(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    refusing_classes(api, 500)
    async with reconciler(**AWAY):
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE, runtimeClassName=CLASS))
        await until(lambda: api.events)
        api.delete("p")
        await until(lambda: ("default", "p") not in api.pods)
        assert not executor.applied


async def test_the_next_leader_writes_what_becomes_of_a_pod_whose_class_nobody_tells(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.runtime_classes[CLASS] = "wasi"
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE, runtimeClassName=CLASS))
        await until(lambda: executor.applied)
        await executor.report("u-1", container(running()))
        await until(lambda: api.pod("p")["status"]["phase"] == "Running")
    refusing_classes(api, 403)
    async with reconciler(**AWAY):
        await registrar.grant()
        await executor.report("u-1", container(running(), ready=False))
        status = api.pod("p")["status"]
        await until(lambda: api.pod("p")["status"] != status)
        api.delete("p", grace_s=7)
        deletion = await until(lambda: executor.deletion_of("u-1"))
        assert deletion is not None
        assert deletion.grace_s == 7


async def test_a_pod_that_its_node_has_lost_says_what_it_waits_for(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    """The status in the API says Running, and would go on to: nobody else tells."""
    api.runtime_classes[CLASS] = "wasi"
    refusing_classes(api, 403)
    pod = api_pod("lost", "u-1", NODE, runtimeClassName=CLASS)
    pod["status"] |= {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}
    api.create(pod)
    async with reconciler(**AWAY):
        await registrar.grant()
        event = (await until(lambda: api.events))[0]
        assert event["reason"] == "FailedCreatePodSandBox"
        assert f"failed to lookup RuntimeClass {CLASS}: 403" in event["message"]
        api.gate = lambda _: None
        await until(lambda: "u-1" in executor.plans)
