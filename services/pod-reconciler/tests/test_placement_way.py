"""Which Nodes are read for admission, and how often: for who met no scheduler, and in doubt."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web
from reconciler_api import PodApi
from reconciler_objects import api_pod
from reconciler_peer import FACTS, NODE, Executor, Registrar, StartReconciler, until
from reconciler_samples import GRANT, NOW, inventory, live_view, pod_json, pod_of, see

from contract.ids import PodUid
from pod_reconciler.domain.cluster import PodVersion
from pod_reconciler.domain.lifecycle import PodState
from pod_reconciler.domain.material import NO_MATERIAL
from pod_reconciler.domain.tracking import NodeView
from podspec.placement import NodeFacts

type Json = dict[str, Any]

AFFINITY = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"


class NodeOf:
    """The Node as the small API server shows it."""

    def __init__(self, api: PodApi, **labels: str) -> None:
        self.labels = labels
        self.taints: list[Json] = []
        self.remembered: dict[str, str] | None = None
        """The labels in a server's memory that lags behind."""
        self.reads = 0
        api.gate = self._answer

    def _answer(self, request: web.Request) -> web.Response | None:
        if request.path != f"/api/v1/nodes/{NODE}":
            return None
        self.reads += 1
        is_memory = request.query.get("resourceVersion") == "0" and self.remembered is not None
        metadata = {"name": NODE, "labels": self.remembered if is_memory else self.labels}
        return web.json_response({"metadata": metadata, "spec": {"taints": self.taints}})


class WatchedNode(NodeOf):
    """The same where Nodes may be listed and watched, too."""

    def __init__(self, api: PodApi, **labels: str) -> None:
        super().__init__(api, **labels)
        self._version = 1
        self._events: asyncio.Queue[Json] = asyncio.Queue()
        self.watchers = 0

    def relabel(self, **labels: str) -> None:
        self.labels = labels
        self._version += 1
        self._events.put_nowait({"type": "MODIFIED", "object": self._object()})

    def _object(self) -> Json:
        metadata = {"name": NODE, "uid": "u-node", "resourceVersion": str(self._version)}
        return {"metadata": metadata | {"labels": self.labels}, "spec": {"taints": self.taints}}

    def _answer(self, request: web.Request) -> web.Response | None:
        if request.path != "/api/v1/nodes":
            return super()._answer(request)
        assert request.query["fieldSelector"] == f"metadata.name={NODE}"
        if request.query.get("watch"):
            self.watchers += 1
            return web.Response(body=self._lines())
        metadata = {"resourceVersion": str(self._version)}
        return web.json_response({"metadata": metadata, "items": [self._object()]})

    async def _lines(self) -> AsyncIterator[bytes]:
        while True:
            yield msgspec.json.encode(await self._events.get()) + b"\n"


def scheduled(name: str, **spec: Any) -> Json:
    pod = api_pod(name, f"u-{name}", NODE, **spec)
    pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "True"}]
    return pod


async def test_a_node_that_is_watched_is_read_for_no_pod_that_fits(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    node = WatchedNode(api, zone="a")

    async def reads_for(name: str, zone: str) -> int:
        before = node.reads
        api.create(api_pod(name, f"u-{name}", NODE, nodeSelector={"zone": zone}))
        await until(lambda: f"u-{name}" in executor.plans)
        return node.reads - before

    async with reconciler():
        await registrar.grant()
        await until(lambda: node.watchers)
        assert await reads_for("p", "a") == 0
        node.relabel(zone="b")
        # The first of these may come before the watch has shown the label: it is asked about.
        asked = [await reads_for(f"q-{number}", "b") for number in range(20)]
        assert asked[-1] == 0
        assert set(asked) <= {0, 1}


async def test_scheduled_pods_share_one_read_of_their_node(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    node = NodeOf(api, zone="a")
    async with reconciler():
        await registrar.grant()
        for name in ("p", "q"):
            api.create(scheduled(name, nodeSelector={"zone": "a"}))
        await until(lambda: len(executor.applied) == 2)
        assert node.reads == 1


async def test_a_label_that_is_newer_than_our_memory_counts(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    node = NodeOf(api, zone="a")
    async with reconciler():
        await registrar.grant()
        api.create(scheduled("p"))
        await until(lambda: "u-p" in executor.plans)
        node.labels = {"zone": "b"}
        api.create(scheduled("q", nodeSelector={"zone": "b"}))
        await until(lambda: "u-q" in executor.plans)


async def test_a_pod_that_names_its_node_is_judged_by_the_node_as_it_is(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    node = NodeOf(api, zone="a")
    async with reconciler():
        await registrar.grant()
        api.create(scheduled("p", nodeSelector={"zone": "a"}))
        await until(lambda: "u-p" in executor.plans)
        node.labels = {"zone": "b"}
        api.create(api_pod("q", "u-q", NODE, nodeSelector={"zone": "a"}))
        await until(lambda: api.pod("q")["status"]["phase"] == "Failed")
        status = api.pod("q")["status"]
        assert (status["reason"], status["message"]) == (
            "NodeAffinity",
            f"Pod was rejected: {AFFINITY}",
        )
        await until(lambda: [e for e in api.events if e["reason"] == "NodeAffinity"])
        assert [e["message"] for e in api.events if e["reason"] == "NodeAffinity"] == [AFFINITY]
        assert "u-q" not in executor.plans


async def test_a_label_that_is_newer_than_the_servers_memory_counts(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    node = NodeOf(api, zone="b")
    node.remembered = {"zone": "a"}
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-p", NODE, nodeSelector={"zone": "a"}))
        await until(lambda: "u-p" in executor.plans)
        assert node.reads == 1, "who fits is not asked about twice"
        api.create(api_pod("q", "u-q", NODE, nodeSelector={"zone": "b"}))
        await until(lambda: "u-q" in executor.plans)
        assert node.reads == 3


async def test_a_taint_keeps_out_who_does_not_tolerate_it(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    NodeOf(api).taints = [{"key": "arch", "value": "wasm", "effect": "NoExecute"}]
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-p", NODE))
        await until(lambda: api.pod("p")["status"].get("reason") == "TaintToleration")
        api.create(api_pod("q", "u-q", NODE, tolerations=[{"operator": "Exists"}]))
        await until(lambda: "u-q" in executor.plans)


async def test_where_the_node_may_not_be_read_the_choice_of_the_node_stands(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-p", NODE, nodeSelector={"zone": "a"}))
        await until(lambda: "u-p" in executor.plans)


async def test_a_pod_that_is_not_judged_reads_no_node(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    node = NodeOf(api, zone="b")
    pod = api_pod("p", "u-p", NODE, nodeSelector={"zone": "a"})
    pod["status"] |= {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}
    ended = api_pod("q", "u-q", NODE)
    ended["status"] |= {"phase": "Failed", "reason": "NodeAffinity"}
    mirror = api_pod("r", "u-r", NODE)
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "u-static"}
    async with reconciler():
        await registrar.grant()
        for each in (ended, mirror, pod):
            api.create(each)
        await until(lambda: "u-p" in executor.plans)
        assert node.reads == 0


def test_a_pod_that_runs_has_its_room_before_any_new_one_is_judged() -> None:
    """After a restart everything is seen at once, and what runs may still wait for its Secrets."""
    view = NodeView(NODE, lambda: NOW)
    facts = msgspec.structs.replace(FACTS, pods=1)
    view.on_granted(msgspec.structs.replace(GRANT, facts=facts))
    view.on_inventory(inventory())
    running = pod_json("u-1")
    running["status"] |= {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}
    new = see(view, pod_json("u-2"))
    waiting = PodVersion(pod_of(running), msgspec.json.encode(running), waits_for_material=True)
    view.on_pod(waiting, 0.0)
    view.on_synced()
    assert new.refusal is not None
    assert new.refusal.reason == "OutOfpods"
    view.on_material(PodUid("u-1"), NO_MATERIAL)
    assert view.records[PodUid("u-1")].state is PodState.ADMITTED


def crowd(*ages: str, room: int) -> NodeView:
    """A view that has been shown pods, created at these times, all of which wait for material."""
    view = NodeView(NODE, lambda: NOW)
    view.on_granted(msgspec.structs.replace(GRANT, facts=msgspec.structs.replace(FACTS, pods=room)))
    view.on_inventory(inventory())
    for age in ages:
        pod = pod_json(f"u-{age}")
        pod["metadata"]["creationTimestamp"] = f"2026-01-01T00:00:{age}Z"
        version = PodVersion(pod_of(pod), msgspec.json.encode(pod), waits_for_material=True)
        view.on_pod(version, 0.0)
    return view


def refused_of(view: NodeView) -> dict[str, str]:
    refusals = ((uid, each.refusal) for uid, each in view.records.items())
    return {uid: refusal.reason for uid, refusal in refusals if refusal is not None}


def test_of_pods_that_are_seen_at_once_the_oldest_have_the_room() -> None:
    view = crowd("09", "03", "07", "01", "05", room=3)
    view.on_synced()
    assert refused_of(view) == {"u-07": "OutOfpods", "u-09": "OutOfpods"}


def test_a_pod_has_its_room_before_what_it_waits_for_has_been_read() -> None:
    view = crowd("02", "01", room=1)
    view.on_synced()
    later = see(view, pod_json("u-later"))
    assert refused_of(view) == {"u-02": "OutOfpods", "u-later": "OutOfpods"}
    view.on_material(PodUid("u-01"), NO_MATERIAL)
    assert view.records[PodUid("u-01")].state is PodState.ADMITTED
    view.on_object_gone(PodUid("u-01"), by_watch=True)
    assert later.state is PodState.REFUSED, "a pod is judged once"
    assert see(view, pod_json("u-next")).state is PodState.ADMITTED


def test_a_static_pod_is_kept_out_by_no_taint_and_by_no_want_of_room() -> None:
    view = live_view()
    tainted = NodeFacts(name=NODE, labels={}, taints=({"key": "a", "effect": "NoExecute"},))
    huge = pod_json("u-1")
    huge["spec"]["containers"][0]["resources"] = {"requests": {"memory": "1Ei"}}
    assert see(view, huge, place=tainted, is_static=True).state is PodState.ADMITTED
    huge["metadata"]["uid"] = "u-2"
    refusal = see(view, huge, place=tainted).refusal
    assert refusal is not None
    assert refusal.reason == "OutOfmemory"


def test_a_port_of_the_node_is_free_again_when_its_pod_has_ended() -> None:
    view = live_view()

    def listening(uid: str) -> Json:
        pod = pod_json(uid, hostNetwork=True)
        pod["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80}]
        return pod

    assert see(view, listening("u-1")).state is PodState.ADMITTED
    refusal = see(view, listening("u-2")).refusal
    assert refusal is not None
    assert refusal.reason == "NodePorts"
    view.on_object_gone(PodUid("u-1"), by_watch=True)
    assert see(view, listening("u-3")).state is PodState.ADMITTED
