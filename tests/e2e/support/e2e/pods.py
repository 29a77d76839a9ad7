"""Pods as a user writes them, and a namespace of a test's own to put them in."""

from typing import Any

from controlplane import ControlPlane
from e2e.api import Api
from e2e.expectations import eventually

RUNTIME_CLASS = "wasmtime-wasi"


def pod(name: str, image: str, **container: Any) -> dict[str, Any]:
    """One container, never restarted, on any of our Nodes; change the result as you like."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "runtimeClassName": RUNTIME_CLASS,
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": image, **container}],
        },
    }


class Pods:
    """The pods of one namespace."""

    def __init__(self, plane: ControlPlane, api: Api, namespace: str) -> None:
        self._plane = plane
        self._api = api
        self.namespace = namespace
        self._root = f"/api/v1/namespaces/{namespace}/pods"

    def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        return self._api.create(self._root, manifest)

    def run(self, name: str, image: str, **container: Any) -> dict[str, Any]:
        """Creates `pod(...)`."""
        return self.create(pod(name, image, **container))

    def get(self, name: str) -> dict[str, Any]:
        return self._api.get(f"{self._root}/{name}")

    def all(self, **query: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._api.get(self._root, **query)["items"]
        return items

    def is_gone(self, name: str) -> bool:
        return self._api.find(f"{self._root}/{name}") is None

    def delete(self, name: str, *, grace_s: int | None = None) -> None:
        options = {} if grace_s is None else {"gracePeriodSeconds": grace_s}
        self._api.delete(f"{self._root}/{name}", **options)

    def container(self, name: str, container: str = "main") -> dict[str, Any]:
        """The container's status; empty before there is one."""
        statuses = self.get(name)["status"].get("containerStatuses", [])
        return next((each for each in statuses if each["name"] == container), {})

    def await_phase(self, name: str, phase: str, within_s: float = 30.0) -> dict[str, Any]:
        """The pod, once its phase is this one."""

        def ask() -> dict[str, Any]:
            found = self.get(name)
            assert found["status"].get("phase") == phase, f"{name}: {found['status']}"
            return found

        return eventually(ask, within_s)

    def await_waiting(self, name: str, reason: str, within_s: float = 30.0) -> dict[str, Any]:
        """The `waiting` state of the container, once its reason is this one."""

        def ask() -> dict[str, Any]:
            status = self.container(name)
            waiting: dict[str, Any] = status.get("state", {}).get("waiting", {})
            assert waiting.get("reason") == reason, f"{name}: {status}"
            return waiting

        return eventually(ask, within_s)

    def conditions(self, name: str) -> dict[str, str]:
        """Condition type -> status."""
        found = self.get(name)["status"].get("conditions", [])
        return {each["type"]: each["status"] for each in found}

    def events(self, name: str) -> list[tuple[str, str]]:
        """(reason, message) of the pod's Events, in order."""
        selector = f"involvedObject.kind=Pod,involvedObject.name={name}"
        path = f"/api/v1/namespaces/{self.namespace}/events"
        items = self._api.get(path, fieldSelector=selector)["items"]
        items.sort(key=lambda event: event["metadata"]["creationTimestamp"])
        return [(event["reason"], event["message"]) for event in items]

    def logs(self, name: str, *options: str) -> str:
        """What `kubectl logs` shows."""
        return self._plane.kubectl("logs", f"--namespace={self.namespace}", name, *options).stdout

    def remove_all(self) -> None:
        """Deletes every pod at once, also where nobody answers for it."""
        self._api.delete(self._root, gracePeriodSeconds=0)
