"""Who reads what from the kubelet port, decided by a real API server with the roles we ship.

The log-server is a process of its own with its own service account; executor, registrar and
reconciler are played, so that a test says what they know.
"""

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from e2e.api import Api
from log_server_peers import Peers, peers_on
from log_server_world import eventually, trusting

from contract.errors import CommandError
from contract.ids import NodeName
from contract.messages.node import ServerAnnounced
from contract.messages.usage import Usage, UsageShown
from contract.subjects import Role
from controlplane import ControlPlane
from embedded_nats import EmbeddedNats

NODE = NodeName("kubelet-api.example")
NOTHING = Usage(at=datetime.now(UTC), since=datetime.now(UTC), core_nanoseconds=1, memory_bytes=0)
IDLE = UsageShown(node=NOTHING, services=NOTHING, cpu_millis=1000, memory_capacity_bytes=1 << 30)
_numbers = itertools.count(1)


@asynccontextmanager
async def kubelet_port(
    plane: ControlPlane, api: Api, folder: Path
) -> AsyncIterator[tuple[Peers, ServerAnnounced, str]]:
    """A log-server for a Node with one pod, `p` in a namespace of its own; its container is `c`."""
    namespace = f"kubelet-api-{next(_numbers)}"
    account = plane.service_account_kubeconfig("wasmlet-system", "log-server")
    with EmbeddedNats(folder / "nats", [NODE]) as nats:
        settings = {
            "WASMLET_NATS_URL": nats.url,
            "WASMLET_NATS_PASSWORD_FILE": str(nats.password_file(Role.LOG_SERVER)),
            "WASMLET_KUBECONFIG": str(account),
            "WASMLET_KUBELET_PORT": "0",
            "WASMLET_ANNOUNCE_INTERVAL_S": "0.1",
            "WASMLET_DENY_CACHE_S": "0.1",
        }
        async with peers_on(nats, [NODE]) as peers:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "log_server", env={**_plain_environment(), **settings}
            )
            try:
                await eventually(lambda: NODE in peers.control.announced, within_s=30)
                event = peers.control.announced[NODE]
                await asyncio.to_thread(_make_node_and_pod, api, event, namespace)
                yield peers, event, namespace
            finally:
                process.terminate()
                await process.wait()
                await asyncio.to_thread(_remove, api, namespace)


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("WASMLET_")}


def _make_node_and_pod(api: Api, event: ServerAnnounced, namespace: str) -> None:
    api.create("/api/v1/nodes", {"metadata": {"name": NODE}})
    status = {
        "addresses": [{"type": "InternalIP", "address": event.address}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": event.port}},
    }
    api.patch(f"/api/v1/nodes/{NODE}/status", {"status": status})
    api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    for name in ("reader", "scraper"):
        api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    spec: dict[str, Any] = {
        "nodeName": NODE,
        "serviceAccountName": "reader",
        "automountServiceAccountToken": False,
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": "c", "image": "registry.example/c:1"}],
    }
    pod = {"metadata": {"name": "p"}, "spec": spec}
    api.create(f"/api/v1/namespaces/{namespace}/pods", pod)


def _remove(api: Api, namespace: str) -> None:
    pod = f"/api/v1/namespaces/{namespace}/pods/p"
    api.delete(pod, gracePeriodSeconds=0)
    api.delete(f"/api/v1/nodes/{NODE}")
    api.delete(f"/api/v1/namespaces/{namespace}")
    for kind in ("clusterroles", "clusterrolebindings"):
        api.delete(f"/apis/rbac.authorization.k8s.io/v1/{kind}/kubelet-api-metrics")


def _allow_metrics(api: Api, namespace: str, account: str) -> None:
    group = "rbac.authorization.k8s.io"
    name = {"name": "kubelet-api-metrics"}
    rule = {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]}
    api.create(f"/apis/{group}/v1/clusterroles", {"metadata": name, "rules": [rule]})
    subject = {"kind": "ServiceAccount", "namespace": namespace, "name": account}
    role = {"apiGroup": group, "kind": "ClusterRole", **name}
    api.create(
        f"/apis/{group}/v1/clusterrolebindings",
        {"metadata": name, "roleRef": role, "subjects": [subject]},
    )


async def test_the_api_server_reads_logs_and_says_what_hinders_it(
    control_plane: ControlPlane, api: Api, tmp_path: Path
) -> None:
    kubectl = control_plane.kubectl
    async with kubelet_port(control_plane, api, tmp_path) as (peers, _, namespace):
        log = peers.executors[NODE].log("c")
        log.write("one", "two", at="2026-01-02T03:04:05.000000001Z")

        async def logs(*options: str) -> Any:
            return await asyncio.to_thread(
                lambda: kubectl("logs", f"--namespace={namespace}", "p", *options, check=False)
            )

        assert (await logs()).stdout == "one\ntwo\n"
        assert (await logs("--timestamps", "--tail=1")).stdout == (
            "2026-01-02T03:04:05.000000001Z two\n"
        )
        command = kubectl.command("logs", f"--namespace={namespace}", "p", "--follow")
        follower = await asyncio.create_subprocess_exec(
            *command, env=kubectl.environment, stdout=asyncio.subprocess.PIPE
        )
        assert follower.stdout
        assert await asyncio.wait_for(follower.stdout.readexactly(8), 20) == b"one\ntwo\n"
        log.write("three")
        assert await asyncio.wait_for(follower.stdout.readexactly(6), 20) == b"three\n"
        log.end()
        assert await asyncio.wait_for(follower.wait(), 20) == 0

        text = 'container "c" in pod "p" is waiting to start: ContainerCreating'
        peers.executors[NODE].refusals["c"] = CommandError(400, text)
        refused = await logs()
        assert refused.returncode == 1
        assert refused.stderr == f"Error from server (BadRequest): {text}\n"
        await peers.leave(NODE)
        away = await logs()
        assert f'node "{NODE}" does not answer at the moment' in away.stderr


async def test_tokens_open_what_their_roles_name_and_nothing_else(
    control_plane: ControlPlane, api: Api, tmp_path: Path
) -> None:
    async with kubelet_port(control_plane, api, tmp_path) as (peers, event, namespace):
        peers.executors[NODE].usage = IDLE
        await asyncio.to_thread(_allow_metrics, api, namespace, "scraper")
        tokens = {}
        for name in ("reader", "scraper"):
            created = await asyncio.to_thread(
                control_plane.kubectl, "create", "token", name, f"--namespace={namespace}"
            )
            tokens[name] = created.stdout.strip()
        async with httpx.AsyncClient(
            base_url=f"https://{event.address}:{event.port}", verify=trusting(), trust_env=False
        ) as client:

            async def status(path: str, token: str = "") -> int:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                return (await client.get(path, headers=headers)).status_code

            logs = f"/containerLogs/{namespace}/p/c"
            assert await status("/healthz") == 200
            for path in (logs, "/pods", "/metrics/resource"):
                assert await status(path) == 401, path
                assert await status(path, "no-token") == 401, path
                assert await status(path, tokens["reader"]) == 403, path
            # The role may take a moment to be known.
            async with asyncio.timeout(60):
                while await status("/metrics/resource", tokens["scraper"]) != 200:
                    await asyncio.sleep(0.1)
            assert await status("/metrics/cadvisor", tokens["scraper"]) == 200
            assert await status(logs, tokens["scraper"]) == 403
            refusal = await client.get(
                "/pods", headers={"Authorization": f"Bearer {tokens['reader']}"}
            )
            assert refusal.text == (
                f"Forbidden (user=system:serviceaccount:{namespace}:reader, verb=get, "
                "resource=nodes, subresource(s)=[pods proxy])\n"
            )


async def test_the_nodes_proxy_passes_as_the_api_server(
    control_plane: ControlPlane, api: Api, tmp_path: Path
) -> None:
    async with kubelet_port(control_plane, api, tmp_path) as (peers, *_):
        peers.control.pods = [b'{"metadata":{"name":"p"}}']
        proxy = f"/api/v1/nodes/{NODE}/proxy"

        async def get(path: str) -> Any:
            return await asyncio.to_thread(
                lambda: control_plane.kubectl("get", "--raw", f"{proxy}{path}", check=False)
            )

        assert (await get("/healthz")).stdout == "ok"
        assert '"items":[{"metadata":{"name":"p"}}]' in (await get("/pods")).stdout
        assert (await get("/nothing")).returncode == 1
