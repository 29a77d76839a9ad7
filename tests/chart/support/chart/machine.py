"""A machine of the cluster, played by this one: it is a Node, and runs the pods bound to it.

No more of a kubelet than a chart needs to be installed for real: pods from their admitted spec,
probes, status, graceful ends, and the cluster's names in each container's hosts file.
"""

import itertools
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from e2e.api import STRATEGIC_MERGE, Api

from chart.localpod import LocalPod, Surroundings
from chart.volumes import absent
from controlplane import ControlPlane

HOST = "machine-1"
NODE = f"wasm-{HOST}"
LOOK_EVERY_S = 0.2
RENEW_EVERY_S = 5.0
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class Machine:
    """Runs in a thread from `with` on. `address` is what other machines would reach it by."""

    def __init__(self, plane: ControlPlane, folder: Path, *, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.pods: dict[str, LocalPod] = {}
        self.failure: BaseException | None = None
        self._plane = plane
        self._folder = folder
        self._numbers = itertools.count(2)
        self._killed_at: dict[str, float] = {}
        self._shown: dict[str, Any] = {}
        self._stop = threading.Event()
        # Children end with the thread that started them, so this thread starts all of them.
        self._thread = threading.Thread(target=self._live, name=f"machine-{name}")
        self._hosts = folder / "hosts"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        self._hosts.write_text("127.0.0.1 localhost\n")
        with Api(self._plane) as api:
            api.create("/api/v1/nodes", self._node())
            api.patch(f"/api/v1/nodes/{self.name}/status", {"status": self._node_status()})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for pod in self.pods.values():
            pod.end(signal.SIGKILL)
            pod.wait()
            pod.volumes.remove()

    def pod(self, service: str) -> LocalPod:
        """The one pod of a service that runs here."""
        found = [pod for pod in tuple(self.pods.values()) if _service(pod) == service]
        assert len(found) == 1, f"{len(found)} pods of {service}"
        return found[0]

    def _live(self) -> None:
        try:
            with Api(self._plane) as api:
                renewed = 0.0
                while not self._stop.is_set():
                    if time.monotonic() - renewed > RENEW_EVERY_S:
                        renewed = time.monotonic()
                        self._renew(api)
                        for pod in self.pods.values():
                            pod.volumes.refresh()
                    self._look(api)
                    self._stop.wait(LOOK_EVERY_S)
        except BaseException as error:
            self.failure = error
            raise

    def _look(self, api: Api) -> None:
        mine = api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={self.name}")["items"]
        for pod in mine:
            uid = pod["metadata"]["uid"]
            if "deletionTimestamp" in pod["metadata"]:
                self._end(api, pod)
            elif uid not in self.pods:
                if not absent(api, pod):
                    self._start(api, pod)
            else:
                self.pods[uid].run()
                self._report(api, self.pods[uid])
        self._forget(set(self.pods) - {pod["metadata"]["uid"] for pod in mine})

    def _forget(self, gone: set[str]) -> None:
        """A pod that has ended is deleted at once: nobody waits for a word of ours."""
        for uid in gone:
            pod = self.pods.pop(uid)
            pod.end(signal.SIGKILL)
            pod.volumes.remove()

    def _start(self, api: Api, pod: dict[str, Any]) -> None:
        # The node's own pod is reached from other machines; the others have an address to be told
        # apart by, for they share this machine's ports.
        is_node = pod["metadata"]["labels"].get("app.kubernetes.io/name") == "wasm-node"
        address = self.address if is_node else f"127.0.7.{next(self._numbers)}"
        uid = pod["metadata"]["uid"]
        server = urlsplit(self._plane.server)
        surroundings = Surroundings(
            address=address,
            host=self.address,
            hosts=self._hosts,
            # The Service's own address would need a kube-proxy.
            api_server={
                "KUBERNETES_SERVICE_HOST": str(server.hostname),
                "KUBERNETES_SERVICE_PORT": str(server.port),
            },
        )
        # A StatefulSet's next pod has the name of the one before it.
        folder = self._folder / f"{pod['metadata']['name']}-{uid[:8]}"
        local = LocalPod(api, pod, folder, surroundings)
        self.pods[uid] = local
        self._write_hosts()
        local.run()

    def _end(self, api: Api, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        local = self.pods.get(uid)
        if local is not None:
            grace = pod["metadata"].get("deletionGracePeriodSeconds", 30)
            began = self._killed_at.get(uid)
            if began is None:
                self._killed_at[uid] = time.monotonic()
                local.end(signal.SIGTERM)
            elif time.monotonic() > began + grace:
                local.end(signal.SIGKILL)
            if not local.has_ended:
                return
            local.volumes.remove()
            del self.pods[uid]
            self._write_hosts()
        api.delete(_path(pod["metadata"]), gracePeriodSeconds=0, preconditions={"uid": uid})

    def _report(self, api: Api, pod: LocalPod) -> None:
        status = pod.status(_now())
        uid = pod.metadata["uid"]
        known = self._shown.get(uid)
        states = status["containerStatuses"]
        shown: list[tuple[Any, ...]] = [(status["phase"],)]
        shown += [
            (each["name"], each["started"], each["ready"], each["restartCount"]) for each in states
        ]
        if shown != known:
            api.patch(f"{_path(pod.metadata)}/status", {"status": status}, STRATEGIC_MERGE)
            self._shown[uid] = shown

    def _write_hosts(self) -> None:
        """In place, for containers have this file bound: the headless Service's names."""
        lines = ["127.0.0.1 localhost"]
        for pod in self.pods.values():
            if _service(pod) == "nats":
                base = f"nats.{pod.metadata['namespace']}.svc"
                lines.append(f"{pod.around.address} {base} {pod.metadata['name']}.{base}")
        self._hosts.write_text("\n".join(lines) + "\n")

    def _renew(self, api: Api) -> None:
        spec = {
            "holderIdentity": self.name,
            "leaseDurationSeconds": 40,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        if api.find(f"{LEASES}/{self.name}") is None:
            api.create(LEASES, {"metadata": {"name": self.name}, "spec": spec})
        else:
            api.patch(f"{LEASES}/{self.name}", {"spec": spec})

    def _node(self) -> dict[str, Any]:
        labels = {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
        }
        return {"metadata": {"name": self.name, "labels": labels}}

    def _node_status(self) -> dict[str, Any]:
        sizes = {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "200Gi"}
        now = _now()
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
        return {
            "capacity": sizes,
            "allocatable": sizes,
            "addresses": [{"type": "InternalIP", "address": self.address}],
            "conditions": [ready | {"lastHeartbeatTime": now, "lastTransitionTime": now}],
        }


def is_ready(api: Api) -> bool:
    """Whether the Wasm node beside the machine's own is Ready."""
    node = api.find(f"/api/v1/nodes/{NODE}") or {"status": {}}
    conditions = node["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _service(pod: LocalPod) -> str:
    name: str = pod.metadata["labels"].get("app.kubernetes.io/name", "")
    return name


def _path(metadata: dict[str, Any]) -> str:
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
