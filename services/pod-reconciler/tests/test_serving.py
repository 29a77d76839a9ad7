"""What others ask of a reconciler: the pods of a node, in pages, and plans too large to send."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest
from reconciler_api import PodApi, failure
from reconciler_objects import api_pod
from reconciler_peer import (
    LIFE,
    NODE,
    Executor,
    Registrar,
    StartReconciler,
    bus_settings,
    container,
    ended,
    running,
    until,
)

from contract.digests import plan_digest
from contract.errors import CommandError
from contract.ids import NodeName
from contract.messages.blob import BlobRead
from contract.messages.pod import PodPlan, PodsList
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from servicekit.bus import Bus, connected

OTHER_NODE = NodeName("wasm-2")


@pytest.fixture
async def log_server(nats: EmbeddedNats) -> AsyncIterator[Bus]:
    role = Role.LOG_SERVER
    async with connected(bus_settings(nats, role), role) as bus:
        yield bus


@pytest.fixture
async def other_executor(nats: EmbeddedNats) -> AsyncIterator[Bus]:
    role = Role.WASM_EXECUTOR
    async with connected(bus_settings(nats, role, OTHER_NODE), role, OTHER_NODE) as bus:
        yield bus


async def test_pods_are_listed_as_the_api_wrote_them_in_pages(
    api: PodApi,
    registrar: Registrar,
    executor: Executor,
    log_server: Bus,
    reconciler: StartReconciler,
) -> None:
    async with reconciler():
        await registrar.grant()
        for number in range(7):
            pod = api_pod(f"p{number}", f"u-{number}", NODE)
            pod["metadata"]["annotations"] = {"big": "x" * 100_000}
            api.create(pod)
        await until(lambda: len(executor.plans) == 7)
        await executor.report("u-3", container(running()))
        await until(lambda: api.pod("p3")["status"]["phase"] == "Running")
        api.refuse = lambda _: failure(503, "ServiceUnavailable", "away")
        await executor.report("u-4", container(running()))
        await until(lambda: api.status_writes("p4"))

        pods, pages, after = [], 0, ""
        while True:
            page = await log_server.request(NODE, PodsList(after=after))
            pods += [msgspec.json.decode(raw) for raw in page.pods]
            pages += 1
            if not (after := page.after):
                break
        assert pages > 1
        assert {pod["metadata"]["uid"] for pod in pods} == {f"u-{n}" for n in range(7)}
        assert len(pods) == 7
        by_uid = {pod["metadata"]["uid"]: pod for pod in pods}
        assert by_uid["u-3"] == api.pod("p3")
        assert by_uid["u-4"]["status"]["phase"] == "Running"
        assert api.pod("p4")["status"]["phase"] == "Pending"


async def test_an_end_that_is_being_told_is_shown_though_its_holder_is_no_more(
    api: PodApi,
    registrar: Registrar,
    executor: Executor,
    log_server: Bus,
    reconciler: StartReconciler,
) -> None:
    async with reconciler(write_backoff_s=0.05, write_backoff_max_s=0.05):
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE, restartPolicy="Never"))
        await until(lambda: executor.applied)
        api.refuse = lambda _: failure(503, "ServiceUnavailable", "away")
        await executor.report("u-1", container(ended(0)), stopped=True)
        await until(lambda: api.status_writes("p"))
        executor.life, executor.reports = msgspec.structs.replace(LIFE, start_count=99), {}
        asked = len(executor.asked)
        await registrar.grant(holder=executor.life)
        await until(lambda: len(executor.asked) > asked)
        before = len(api.status_writes("p"))
        await until(lambda: len(api.status_writes("p")) > before + 1)
        page = await log_server.request(NODE, PodsList())
        assert msgspec.json.decode(page.pods[0])["status"]["phase"] == "Succeeded"
        assert api.pod("p")["status"].get("phase") != "Succeeded"


async def test_a_pod_larger_than_a_message_comes_in_parts_of_one_version(
    api: PodApi,
    registrar: Registrar,
    executor: Executor,
    log_server: Bus,
    reconciler: StartReconciler,
) -> None:
    async with reconciler():
        await registrar.grant()
        large = api_pod("large", "u-1", NODE)
        large["metadata"]["annotations"] = {"big": "x" * 1_200_000}
        api.create(api_pod("first", "u-0", NODE))
        api.create(large)
        api.create(api_pod("last", "u-2", NODE))
        await until(lambda: len(executor.plans) == 3)
        ask, uids, parts = PodsList(), [], []
        while True:
            page = await log_server.request(NODE, ask)
            uids += [msgspec.json.decode(raw)["metadata"]["uid"] for raw in page.pods]
            if page.part:
                parts.append(page.part)
            if page.offset:
                stale = PodsList(after=page.after, offset=page.offset, version="another")
                with pytest.raises(CommandError, match="has changed between two of its parts"):
                    await log_server.request(NODE, stale)
            elif not page.after:
                break
            ask = PodsList(after=page.after, offset=page.offset, version=page.version)
        assert uids == ["u-0", "u-2"]
        assert len(parts) > 4
        assert msgspec.json.decode(b"".join(parts))["metadata"]["uid"] == "u-1"


async def test_a_node_that_nobody_knows_has_no_list_of_pods(
    executor: Executor, registrar: Registrar, log_server: Bus, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await registrar.grant()
        await until(lambda: executor.asked)
        with pytest.raises(CommandError, match="wasm-2 is not known"):
            await log_server.request(OTHER_NODE, PodsList())


async def test_a_plan_too_large_for_a_message_is_read_in_parts_by_its_node_alone(
    api: PodApi,
    registrar: Registrar,
    executor: Executor,
    other_executor: Bus,
    reconciler: StartReconciler,
) -> None:
    env = [{"name": f"V{n}", "value": "x" * 30_000} for n in range(40)]
    pod = api_pod("p", "u-1", NODE)
    pod["spec"]["containers"][0]["env"] = env
    pod["status"] = {"phase": "Pending", "startTime": "2026-01-31T12:00:00Z"}
    async with reconciler():
        await registrar.grant()
        api.create(pod)
        apply = (await until(lambda: executor.applied))[0]
        assert apply.plan is None
        assert apply.started_at == datetime(2026, 1, 31, 12, tzinfo=UTC)

        blob = b""
        while True:
            read = BlobRead(digest=apply.plan_digest, offset=len(blob))
            chunk = await executor.bus.request(NODE, read, stream=True)
            blob += chunk.data
            if len(blob) == chunk.total_bytes:
                break
        plan = msgspec.json.decode(blob, type=PodPlan)
        assert plan_digest(plan) == apply.plan_digest
        assert len(plan.containers[0].env) == 1 + 40  # and HOSTNAME
        with pytest.raises(CommandError, match="no blob"):
            await other_executor.request(OTHER_NODE, BlobRead(digest=apply.plan_digest))
        with pytest.raises(CommandError, match="no blob"):
            await executor.bus.request(NODE, BlobRead(digest="0" * 64))
