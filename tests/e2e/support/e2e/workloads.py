"""The objects from which Kubernetes' controllers make pods, in one namespace."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from subprocess import STDOUT, Popen
from typing import Any

from controlplane import ControlPlane
from e2e.api import Api
from e2e.expectations import eventually
from e2e.history import History, name_of
from e2e.pods import Pods, pod


class Kind(StrEnum):
    """Where the API server has the objects of a kind, below a namespace."""

    DEPLOYMENT = "apis/apps/v1 deployments"
    REPLICA_SET = "apis/apps/v1 replicasets"
    STATEFUL_SET = "apis/apps/v1 statefulsets"
    DAEMON_SET = "apis/apps/v1 daemonsets"
    JOB = "apis/batch/v1 jobs"
    CRON_JOB = "apis/batch/v1 cronjobs"
    DISRUPTION_BUDGET = "apis/policy/v1 poddisruptionbudgets"

    def path(self, namespace: str) -> str:
        group, _, plural = self.value.partition(" ")
        return f"/{group}/namespaces/{namespace}/{plural}"


def template(app: str, image: str, *, restart: str = "Always", **container: Any) -> dict[str, Any]:
    """A pod template with the label app=APP; change the result as you like."""
    spec = pod("unused", image, **container)["spec"] | {"restartPolicy": restart}
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


def replicated(app: str, image: str, replicas: int) -> dict[str, Any]:
    """The spec that Deployment, ReplicaSet and StatefulSet have in common."""
    return {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": app}},
        "template": template(app, image),
    }


class Workloads:
    """Creates, asks and removes them; `pods` are what comes of it."""

    def __init__(self, plane: ControlPlane, api: Api, pods: Pods) -> None:
        self._plane = plane
        self._api = api
        self.pods = pods

    def create(self, kind: Kind, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        return self._api.create(self._root(kind), {"metadata": {"name": name}, "spec": spec})

    def get(self, kind: Kind, name: str) -> dict[str, Any]:
        return self._api.get(f"{self._root(kind)}/{name}")

    def status(self, kind: Kind, name: str) -> dict[str, Any]:
        """What its controller says of it, as far as it has come."""
        status: dict[str, Any] = self.get(kind, name).get("status", {})
        return status

    def await_observed(self, kind: Kind, name: str) -> dict[str, Any]:
        """Its status, once the controller has seen the spec as it is now."""

        def observed() -> dict[str, Any]:
            found = self.get(kind, name)
            status: dict[str, Any] = found["status"]
            assert status.get("observedGeneration") == found["metadata"]["generation"]
            return status

        return eventually(observed)

    def scale(self, kind: Kind, name: str, replicas: int) -> None:
        self._api.patch(f"{self._root(kind)}/{name}", {"spec": {"replicas": replicas}})

    def kubectl(self, *arguments: str) -> str:
        """What kubectl prints of this namespace; it must end with 0."""
        return self._plane.kubectl(*arguments, f"--namespace={self.pods.namespace}").stdout

    def complaint(self, *arguments: str) -> str:
        """What kubectl has to say when it fails; it must fail."""
        namespace = f"--namespace={self.pods.namespace}"
        answer = self._plane.kubectl(*arguments, namespace, check=False)
        assert answer.returncode != 0, answer.stdout
        return answer.stderr

    @contextmanager
    def running_kubectl(self, out: Path, *arguments: str) -> Iterator[Popen[bytes]]:
        """A kubectl that runs beside the test, and what it says in a file."""
        kubectl = self._plane.kubectl
        command = kubectl.command(*arguments, f"--namespace={self.pods.namespace}")
        with out.open("wb") as file:
            process = Popen(command, stdout=file, stderr=STDOUT, env=kubectl.environment)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def await_shown(self, text: str) -> None:
        """Returns when `kubectl logs` shows this of every pod that there is, and no more."""
        names = [name_of(each) for each in self.pods.all()]
        eventually(lambda: [self.pods.logs(name) for name in names] == [text] * len(names))

    def history(self, kind: Kind | None = None) -> History:
        """Of the pods, or of the objects of another kind."""
        path = None if kind is None else self._root(kind)
        return History(self._api, self.pods.namespace, path)

    def remove_all(self) -> None:
        """Deletes all of them and waits until their pods are gone."""
        for kind in Kind:
            self._api.delete(self._root(kind), propagationPolicy="Background")
        eventually(lambda: not self.pods.all())

    def _root(self, kind: Kind) -> str:
        return kind.path(self.pods.namespace)
