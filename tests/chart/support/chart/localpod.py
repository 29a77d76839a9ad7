"""One pod whose containers run as processes of this machine, from the spec as it was admitted."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
from e2e.api import Api

from chart.container import Container, Mount, bound_for
from chart.dockerfile import ENVIRONMENT, image_named
from chart.volumes import Volumes
from controlplane.building import REPOSITORY

ANSWER_WITHIN_S = 2.0
CAPABILITIES = {"SETPCAP": 8, "SYS_ADMIN": 21}  # those that a chart of ours adds
VENV = Path(sys.prefix)


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine gives a pod: addresses, names that resolve, and where the API server is."""

    address: str
    host: str
    hosts: Path
    api_server: dict[str, str]


class LocalContainer:
    """A container: started anew when it ends, as restartPolicy Always has it."""

    def __init__(self, pod: "LocalPod", spec: dict[str, Any]) -> None:
        self.spec = spec
        self.restarts = -1
        self._pod = pod
        self._process: subprocess.Popen[bytes] | None = None
        self.log = pod.folder / f"{spec['name']}.log"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def run(self) -> None:
        """Start it where it does not run; once only where its pod runs once."""
        if self.is_running or (self._process is not None and self._pod.runs_once):
            return
        self.restarts += 1
        plan = self._pod.folder / f"{self.spec['name']}.json"
        plan.write_bytes(msgspec.json.encode(self._plan()))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "chart.container", str(plan)],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    def wait(self) -> None:
        if self._process is not None:
            self._process.wait()

    def answers(self, probe: str) -> bool:
        """Whether its probe of this kind succeeds; one that it has not got does."""
        if not self.is_running:
            return False
        if probe not in self.spec:
            return True
        get = self.spec[probe]["httpGet"]
        try:
            url = self.url(get["port"], get["path"])
            return httpx.get(url, timeout=ANSWER_WITHIN_S, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def url(self, port: str, path: str) -> str:
        """What is asked at a port of this name."""
        number = next(each["containerPort"] for each in self.spec["ports"] if each["name"] == port)
        return f"http://{self._pod.around.address}:{number}{path}"

    def _plan(self) -> Container:
        image = image_named(self.spec["image"])
        env = self._environment()
        context = self._pod.spec.get("securityContext", {}) | self.spec["securityContext"]
        root = self._pod.folder / f"{self.spec['name']}.root"
        root.mkdir(exist_ok=True)
        arguments = [expanded(each, env) for each in self.spec.get("args", [])]
        mounts = [self._mount(each, env) for each in self.spec.get("volumeMounts", [])]
        return Container(
            command=[*(self.spec.get("command") or image.entrypoint), *arguments],
            env=image.env | {"PATH": f"{ENVIRONMENT}/bin:/usr/bin:/bin", "HOME": "/"} | env,
            mounts=[*mounts, Mount(source=str(VENV), path=ENVIRONMENT, read_only=True)],
            root=str(root),
            hosts=str(self._pod.around.hosts),
            bound=bound_for(sys.executable, [REPOSITORY]),
            user=context["runAsUser"],
            group=context["runAsGroup"],
            read_only=context["readOnlyRootFilesystem"],
            capabilities=[CAPABILITIES[each] for each in context["capabilities"].get("add", [])],
            no_new_privileges=not context["allowPrivilegeEscalation"],
        )

    def _mount(self, mount: dict[str, Any], env: dict[str, str]) -> Mount:
        source = self._pod.volumes.paths[mount["name"]]
        below = mount.get("subPath") or expanded(mount.get("subPathExpr", ""), env)
        return Mount(
            source=str(source / below),
            path=mount["mountPath"],
            read_only=mount.get("readOnly", False),
        )

    def _environment(self) -> dict[str, str]:
        env = dict(self._pod.around.api_server)
        for variable in self.spec.get("env", []):
            if "valueFrom" in variable:
                value = self._pod.field(variable["valueFrom"]["fieldRef"]["fieldPath"])
            else:
                value = expanded(variable.get("value", ""), env)
            env[variable["name"]] = value
        return env


class LocalPod:
    """All containers of a pod, and what its status says."""

    def __init__(
        self, api: Api, pod: dict[str, Any], folder: Path, surroundings: Surroundings
    ) -> None:
        folder.mkdir(parents=True)
        self.metadata = pod["metadata"]
        self.spec = pod["spec"]
        self.folder = folder
        self.around = surroundings
        self.volumes = Volumes(api, pod, folder / "volumes")
        self.containers = [LocalContainer(self, each) for each in self.spec["containers"]]
        self._started: set[str] = set()

    def run(self) -> None:
        for container in self.containers:
            container.run()

    def end(self, number: signal.Signals) -> None:
        for container in self.containers:
            container.signal(number)

    def wait(self) -> None:
        for container in self.containers:
            container.wait()

    @property
    def runs_once(self) -> bool:
        return bool(self.spec["restartPolicy"] == "Never")

    @property
    def has_ended(self) -> bool:
        return not any(container.is_running for container in self.containers)

    def field(self, path: str) -> str:
        """What the downward API says."""
        known = {
            "metadata.name": self.metadata["name"],
            "metadata.namespace": self.metadata["namespace"],
            "spec.nodeName": self.spec["nodeName"],
            "status.podIP": self.around.address,
            "status.hostIP": self.around.host,
        }
        return str(known[path])

    def status(self, now: str) -> dict[str, Any]:
        """A kubelet's PodStatus, as far as controllers read it."""
        states = [self._container_status(each, now) for each in self.containers]
        ready = all(each["ready"] for each in states)
        conditions = [("Initialized", True), ("ContainersReady", ready), ("Ready", ready)]
        return {
            "phase": self._phase(),
            "hostIP": self.around.host,
            "podIP": self.around.address,
            "podIPs": [{"ip": self.around.address}],
            "containerStatuses": states,
            "conditions": [
                {"type": kind, "status": str(is_true), "lastTransitionTime": now}
                for kind, is_true in conditions
            ],
        }

    def _phase(self) -> str:
        codes = [container.exit_code for container in self.containers]
        if not self.runs_once or None in codes:
            return "Running"
        return "Failed" if any(codes) else "Succeeded"

    def _container_status(self, container: LocalContainer, now: str) -> dict[str, Any]:
        name = container.spec["name"]
        if container.answers("startupProbe"):
            self._started.add(name)
        return {
            "name": name,
            "image": container.spec["image"],
            "imageID": container.spec["image"],
            "started": name in self._started,
            "ready": name in self._started and container.answers("readinessProbe"),
            "restartCount": max(0, container.restarts),
            "state": self._state(container, now),
        }

    def _state(self, container: LocalContainer, now: str) -> dict[str, Any]:
        code = container.exit_code if self.runs_once else None
        if code is None:
            return {"running": {"startedAt": now}}
        times = {"startedAt": now, "finishedAt": now}
        reason = "Error" if code else "Completed"
        return {"terminated": {"exitCode": code, "reason": reason, **times}}


def expanded(text: str, env: dict[str, str]) -> str:
    """The text with each $(NAME) that is known replaced."""
    return re.sub(r"\$\((\w+)\)", lambda found: env.get(found[1], found[0]), text)
