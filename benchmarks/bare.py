"""The API server's own limit: a client that runs nothing and only patches status.

Registers a Node, watches its pods, patches each to Running, and deletes what is deleted. Of a pod
with volumes it reads first what they name, side by side, as whoever runs it has to. What wasmlet
takes longer than this is wasmlet's.
"""

import argparse
import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.cluster import events
from kubekit.client import Api, api_client
from kubekit.errors import ApiError, ConflictError

MERGE = "application/strategic-merge-patch+json"
LABEL = {"wasmlet.dev/bench": "bare"}


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--node", required=True)
    chosen = parser.parse_args()
    async with api_client(chosen.kubeconfig, user_agent="bench-bare") as api:
        await register(api, chosen.node)
        print("ready", flush=True)
        await follow(api, chosen.node)


async def register(api: Api, node: str) -> None:
    """Make the Node and say that it is Ready, once: the run is shorter than its patience."""
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": LABEL}}
    with suppress(ConflictError):
        await api.request("POST", "/api/v1/nodes", body=msgspec.json.encode(body))
    resources = {"cpu": "1000", "memory": "1Ti", "pods": "5000"}
    now = _now()
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "bench"}
    condition = ready | {"lastHeartbeatTime": now, "lastTransitionTime": now}
    status = {"capacity": resources, "allocatable": resources, "conditions": [condition]}
    patch = msgspec.json.encode({"status": status})
    await api.request("PATCH", f"/api/v1/nodes/{node}/status", body=patch, content_type=MERGE)


async def follow(api: Api, node: str) -> None:
    """Answer every pod of the node by one PATCH, until killed."""
    query = {"fieldSelector": f"spec.nodeName={node}"}
    async with asyncio.TaskGroup() as tasks:
        async for _, event in events(api, "/api/v1/pods", query):
            tasks.create_task(answer(api, event["type"], event["object"]), name="answer")


async def answer(api: Api, kind: str, pod: dict[str, Any]) -> None:
    """Patch a new pod to Running; finish a deletion."""
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
    try:
        if kind == "ADDED":
            await read_named(api, pod)
            patch = msgspec.json.encode(
                {"metadata": {"uid": metadata["uid"]}, "status": running(pod)}
            )
            await api.request(
                "PATCH", f"{path}/status", body=patch, content_type=MERGE, timeout_s=60
            )
        elif kind == "MODIFIED" and "deletionTimestamp" in metadata:
            body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
            await api.request("DELETE", path, body=msgspec.json.encode(body), timeout_s=60)
    except ApiError as error:
        print(f"{metadata['name']}: {error}", flush=True)


async def read_named(api: Api, pod: dict[str, Any]) -> None:
    """Read each ConfigMap and Secret that its volumes name, and ask for their tokens."""
    core = f"/api/v1/namespaces/{pod['metadata']['namespace']}"
    async with asyncio.TaskGroup() as tasks:
        for volume in pod["spec"].get("volumes") or ():
            match volume:
                case {"configMap": {"name": name}}:
                    read = api.request("GET", f"{core}/configmaps/{name}")
                case {"secret": {"secretName": name}}:
                    read = api.request("GET", f"{core}/secrets/{name}")
                case {"projected": {"sources": [{"serviceAccountToken": wanted}]}}:
                    path = f"{core}/serviceaccounts/default/token"
                    read = api.request("POST", path, body=token_request(pod, wanted))
                case _:
                    continue
            tasks.create_task(read, name=f"read-{volume['name']}")


def token_request(pod: dict[str, Any], wanted: dict[str, Any]) -> bytes:
    """Return what asks for a token that is bound to the pod."""
    metadata = pod["metadata"]
    bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    spec = {"expirationSeconds": wanted["expirationSeconds"], "boundObjectRef": bound}
    head = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    return msgspec.json.encode(head | {"spec": spec | {"audiences": []}})


def running(pod: dict[str, Any]) -> dict[str, Any]:
    """Return a status as large as a kubelet's."""
    now = _now()
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    containers = [
        {
            "name": each["name"],
            "image": each["image"],
            "imageID": each["image"],
            "containerID": f"bare://{pod['metadata']['uid']}",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": now}},
        }
        for each in pod["spec"]["containers"]
    ]
    return {
        "phase": "Running",
        "startTime": now,
        "hostIP": "10.0.0.1",
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}],
        "conditions": [{"type": k, "status": "True", "lastTransitionTime": now} for k in kinds],
        "containerStatuses": containers,
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    asyncio.run(main())
