"""Pods that come all the time, and when the API shows that they have ended."""

import threading
import time
from collections import deque
from itertools import pairwise
from typing import Any

import httpx
import msgspec

from controlplane import ControlPlane
from e2e.api import Api
from e2e.expectations import eventually
from e2e.pods import pod

LABEL = "streamed"


class PodStream:
    """Creates so many a second, each of which ends by itself, and notes what a watch brings."""

    def __init__(self, plane: ControlPlane, namespace: str, node: str, image: str) -> None:
        self._plane = plane
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._node = node
        self._image = image
        self._stopped = threading.Event()
        self._left = threading.Event()
        self._threads = [
            threading.Thread(target=each, daemon=True) for each in (self._create, self._watch)
        ]
        self.every_s = 0.2
        self.created: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.failed: list[str] = []
        self._over: deque[str] = deque()

    def __enter__(self) -> "PodStream":
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Whoever leaves earlier, for a test that fails, waits for no pod's end."""
        self._stopped.set()
        self._left.set()
        for each in self._threads:
            each.join()

    def stop_creating(self) -> None:
        """The watch goes on."""
        self._stopped.set()
        self._threads[0].join()

    def await_all_ended(self, within_s: float) -> None:
        def ask() -> bool:
            missing = self.created.keys() - self.ended.keys()
            assert not missing, f"{len(missing)} have not ended, such as {sorted(missing)[:3]}"
            return True

        eventually(ask, within_s)

    def await_flow(self, moment: float) -> None:
        """Until a pod that was created later has ended."""

        def ask() -> bool:
            later = [name for name, at in tuple(self.created.items()) if at > moment]
            return any(name in self.ended for name in later)

        eventually(ask, within_s=90)

    def gap(self, start: float, end: float) -> float:
        """The longest time in between in which the API showed the end of no pod."""
        times = sorted(at for at in tuple(self.ended.values()) if start < at < end)
        return max(later - earlier for earlier, later in pairwise([start, *times, end]))

    def latencies(self) -> list[float]:
        """From creation to the end as the API shows it, of those that have ended."""
        return sorted(at - self.created[name] for name, at in self.ended.items())

    def _create(self) -> None:
        number = 0
        with Api(self._plane) as api:
            due = time.monotonic()
            while not self._stopped.is_set():
                manifest = pod(f"s-{number}", self._image)
                manifest["metadata"]["labels"] = {"app": LABEL}
                manifest["spec"]["nodeName"] = self._node
                name = manifest["metadata"]["name"]
                self.created[name] = time.monotonic()
                api.create(self._path, manifest)
                number += 1
                self._remove_one(api)
                due = max(due + self.every_s, time.monotonic())
                self._stopped.wait(due - time.monotonic())

    def _remove_one(self, api: Api) -> None:
        """Of those that have ended, so that no more lie about than came lately."""
        if self._over:
            api.delete(f"{self._path}/{self._over.popleft()}")

    def _watch(self) -> None:
        with Api(self._plane) as api:
            version = api.get(self._path)["metadata"]["resourceVersion"]
            while not self._left.is_set():
                query = {"watch": "1", "labelSelector": f"app={LABEL}", "resourceVersion": version}
                query["timeoutSeconds"] = "5"
                try:
                    with api._client.stream("GET", self._path, params=query) as answer:
                        for line in answer.raise_for_status().iter_lines():
                            version = self._note(msgspec.json.decode(line), version)
                            if self._left.is_set():
                                return
                except httpx.TransportError:
                    continue

    def _note(self, change: dict[str, Any], version: str) -> str:
        found = change["object"]
        assert change["type"] != "ERROR", found
        if change["type"] not in {"ADDED", "MODIFIED"}:
            return version
        name, phase = found["metadata"]["name"], found["status"].get("phase")
        if phase in {"Succeeded", "Failed"} and name not in self.ended:
            self.ended[name] = time.monotonic()
            self._over.append(name)
            counts = [s["restartCount"] for s in found["status"].get("containerStatuses", ())]
            if phase == "Failed" or any(counts):
                self.failed.append(name)
        return str(found["metadata"]["resourceVersion"])
