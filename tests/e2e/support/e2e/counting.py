"""Pods that log numbered lines for as long as they live, and what is known of them from outside.

A line says whose it is and which: `pod-03 00000042`. So a missing line, one written twice and one
in the wrong file are all seen, in the files and through `kubectl logs`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from controlplane import ControlPlane
from e2e import guests
from e2e.expectations import eventually
from e2e.history import Pod
from e2e.images import Images
from e2e.obedient import NAME, obedient, part
from e2e.pods import Pods, pod

ALWAYS, ON_FAILURE, NEVER = "Always", "OnFailure", "Never"
EVERY_MS = 40
KILLED = 137
_LABEL = "counting"
_INIT = "init"
_CRI_LINE = re.compile(r"\S+ stdout F (\S+) (\d{8})")
_SHOWN_LINE = re.compile(r"\[pod/(\S+)/(\S+)\] (\S+) (\d{8})")
_NO_SECOND_RUN = re.compile(r'error: previous terminated container "init" in pod "\S+" not found')
_STARTED_WITHIN_S = 40.0


class Name(NamedTuple):
    """A container of a pod."""

    pod: str
    container: str


class CountingPods:
    """Pods `pod-00`, `pod-01`, ... on one node, which restart by turns always, on failure, never.

    `pod-00` has two containers. Every fourth, from `pod-01` on, has everything that a pod's life
    can have: an init container that has run, a sidecar that counts too, probes every second, hooks.
    """

    def __init__(self, plane: ControlPlane, pods: Pods, log_root: Path) -> None:
        self._plane = plane
        self._pods = pods
        self._log_root = log_root
        self.policies: dict[str, str] = {}
        self._uids: dict[str, str] = {}

    def seen_from(self, log_root: Path) -> "CountingPods":
        """The same pods, with the log files of another executor."""
        other = CountingPods(self._plane, self._pods, log_root)
        other.policies, other._uids = self.policies, self._uids
        return other

    def create(self, images: Images, node: str, count: int) -> None:
        """Returns when all run and have written something."""
        for number, policy in zip(range(count), _turns(), strict=False):
            self.add(images, node, f"pod-{number:02}", policy)
        self.await_running()
        eventually(lambda: all(self.written(each) for each in self.names()))

    def add(self, images: Images, node: str, name: str, policy: str) -> None:
        """One more, of this name and policy."""
        self.policies[name] = policy
        created = self._pods.create(counting_pod(images, node, name, policy))
        self._uids[name] = created["metadata"]["uid"]

    def remove(self, name: str) -> None:
        """Deletes a pod and waits until it is gone, its logs too."""
        self._pods.delete(name)
        eventually(lambda: self._pods.is_gone(name))
        eventually(lambda: not self._folder(name).exists())
        del self.policies[name]

    def names(self, *policies: str) -> list[Name]:
        """All containers that count; of pods with these policies, if there are any."""
        return [
            Name(pod, container)
            for pod, policy in self.policies.items()
            if policy in (policies or (ALWAYS, ON_FAILURE, NEVER))
            for container in _containers(pod)
        ]

    # What the API server shows

    def all(self) -> list[Pod]:
        return self._pods.all(labelSelector=f"app={_LABEL}")

    def statuses(self) -> dict[Name, dict[str, Any]]:
        """Of all that count, sidecars included."""
        return {name: each for name, each in self._every_status() if name.container != _INIT}

    def finished(self) -> dict[Name, dict[str, Any]]:
        """The statuses of the init containers: each has run once, and well."""
        found = {name: each for name, each in self._every_status() if name.container == _INIT}
        for name, status in found.items():
            assert status["state"].get("terminated", {}).get("exitCode") == 0, f"{name}: {status}"
            assert status["restartCount"] == 0, f"{name}: {status}"
        return found

    def _every_status(self) -> Iterator[tuple[Name, dict[str, Any]]]:
        for found in self.all():
            for field in ("initContainerStatuses", "containerStatuses"):
                for status in found["status"].get(field, []):
                    yield Name(found["metadata"]["name"], status["name"]), status

    def phases(self) -> dict[str, str]:
        return {each["metadata"]["name"]: each["status"]["phase"] for each in self.all()}

    def conditions(self) -> dict[str, list[tuple[str, str, str]]]:
        """What holds of each pod, and since when: (type, status, time) of its conditions."""
        return {
            each["metadata"]["name"]: sorted(
                (held["type"], held["status"], held["lastTransitionTime"])
                for held in each["status"].get("conditions", [])
            )
            for each in self.all()
        }

    def await_running(self) -> None:
        """All pods run and are ready, all conditions true."""

        def ask() -> bool:
            found = self.all()
            assert {each["metadata"]["name"] for each in found} == set(self.policies)
            for each in found:
                status = each["status"]
                conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
                name = each["metadata"]["name"]
                assert status.get("phase") == "Running", f"{name}: {status}"
                assert set(conditions.values()) == {"True"}, f"{name}: {conditions}"
            return True

        eventually(ask, _STARTED_WITHIN_S)

    def is_back(self, name: Name) -> bool:
        """It was killed and started again, once."""
        status = self.statuses()[name]
        assert status["restartCount"] == 1, status
        assert status["lastState"].get("terminated", {}).get("exitCode") == KILLED, status
        assert status["ready"], status
        assert self.phases()[name.pod] == "Running"
        return bool(self.written(name, run=1))

    def is_over(self, name: Name) -> bool:
        """It was killed, and that was its end."""
        status = self.statuses()[name]
        assert status["state"].get("terminated", {}).get("exitCode") == KILLED, status
        assert status["restartCount"] == 0
        return self.phases()[name.pod] == "Failed"

    # What they wrote

    def written(self, name: Name, run: int = 0) -> list[int]:
        """The numbers in the log file of one run; every line must be whole and its own."""
        file = self._folder(name.pod) / name.container / f"{run}.log"
        text = file.read_text() if file.exists() else ""
        lines = text.rpartition("\n")[0].splitlines()
        return [_number(line, _CRI_LINE.fullmatch(line), name) for line in lines]

    def began(self, name: Name, run: int) -> str:
        """The time of the first line of a run, to the nanosecond."""
        file = self._folder(name.pod) / name.container / f"{run}.log"
        return file.read_text().partition(" ")[0]

    def _folder(self, pod_name: str) -> Path:
        uid = self._uids[pod_name]
        return self._log_root / "pods" / f"{self._pods.namespace}_{pod_name}_{uid}"

    def shown(self) -> dict[Name, list[int]]:
        """The numbers that `kubectl logs` shows of every container."""
        return self._shown(f"app={_LABEL}")

    def shown_previous(self) -> dict[Name, list[int]]:
        """The same with `--previous`, of pods that restart. Init containers had no second run."""
        return self._shown(f"app={_LABEL},restarts!={NEVER}", "--previous", "--ignore-errors")

    def _shown(self, selector: str, *options: str) -> dict[Name, list[int]]:
        command = ["logs", f"--namespace={self._pods.namespace}", f"--selector={selector}"]
        command += ["--all-containers", "--prefix", "--tail=-1", *options]
        found: dict[Name, list[int]] = {}
        for line in self._plane.kubectl(*command).stdout.splitlines():
            if options and _NO_SECOND_RUN.fullmatch(line):
                continue
            match = _SHOWN_LINE.fullmatch(line)
            assert match is not None, f"kubectl shows {line!r}"
            name = Name(match[1], match[2])
            assert match[3] == _own(name), f"{name}: a line of {match[3]}"
            found.setdefault(name, []).append(int(match[4]))
        return found


def assert_consecutive(numbers: Sequence[int], whose: object) -> None:
    """From 1 on, none missing, none twice; says where it breaks, not what was expected whole."""
    for expected, number in enumerate(numbers, start=1):
        assert number == expected, f"{whose}: line {number} where {expected} is due"


def counting_pod(images: Images, node: str, name: str, policy: str) -> dict[str, Any]:
    """A pod that counts under its name; some do it in two containers."""
    image = images.push(guests.counts_by_name(EVERY_MS), "counts-by-name")
    main, *others = [_counter(Name(name, container), image) for container in _containers(name)]
    manifest = pod(name, image)
    manifest["metadata"]["labels"] = {"app": _LABEL, "restarts": policy}
    spec = manifest["spec"]
    spec["restartPolicy"] = policy
    spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    if _is_lively(name):
        first = part(_INIT, images.push(obedient(), NAME), "exit0")
        sidecars = [each | {"restartPolicy": ALWAYS} for each in others]
        spec["initContainers"] = [first, *sidecars]
        spec["containers"] = [main | _checked(main["command"])]
    else:
        spec["containers"] = [main, *others]
    return manifest


def _counter(name: Name, image: str) -> dict[str, Any]:
    return {"name": name.container, "image": image, "command": [_own(name)]}


def _checked(command: list[str]) -> dict[str, Any]:
    """Every probe and hook, each of them an instance of the module that ends at once."""
    check = {"exec": {"command": [*command, "check"]}}
    # A busy machine must not look like a container that is ill.
    probe = check | {"periodSeconds": 1, "timeoutSeconds": 10}
    kinds = ("startupProbe", "readinessProbe", "livenessProbe")
    hooks = {"lifecycle": {"postStart": check, "preStop": check}}
    return dict.fromkeys(kinds, probe) | hooks


def _is_lively(pod_name: str) -> bool:
    match = re.fullmatch(r"pod-(\d+)", pod_name)
    return match is not None and int(match[1]) % 4 == 1


def _containers(pod_name: str) -> list[str]:
    """Those that count, the main one first."""
    if _is_lively(pod_name):
        return ["main", "sidecar"]
    return ["main", "second"] if pod_name == "pod-00" else ["main"]


def _own(name: Name) -> str:
    return name.pod if name.container == "main" else f"{name.pod}/{name.container}"


def _number(line: str, match: re.Match[str] | None, name: Name) -> int:
    assert match is not None, f"{name}: the line {line!r}"
    assert match[1] == _own(name), f"{name}: a line of {match[1]}"
    return int(match[2])


def _turns() -> Iterable[str]:
    while True:
        yield from (ALWAYS, ON_FAILURE, NEVER)
