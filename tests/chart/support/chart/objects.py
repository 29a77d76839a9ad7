"""Looks into rendered objects."""

from collections.abc import Iterable, Iterator
from typing import Any

WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet", "Job")
HOOK = "helm.sh/hook"


def named(objects: Iterable[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The one object of this kind and name."""
    (found,) = (
        each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name
    )
    return found


def pods(objects: Iterable[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and pod spec of every workload, of hooks too, and of the pod that `helm test` makes."""
    for each in objects:
        if each["kind"] in WORKLOADS:
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]
        elif each["kind"] == "Pod":
            yield each["metadata"]["name"], each["spec"]


def services(objects: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The containers that run for ever: the chart's own and NATS."""
    for name, spec in pods(objects):
        if "restartPolicy" not in spec:
            yield from (each | {"pod": name} for each in spec["containers"])


def hooks(objects: Iterable[dict[str, Any]], when: str) -> list[dict[str, Any]]:
    """What Helm makes at this moment of a release's life."""
    return [each for each in objects if each["metadata"].get("annotations", {}).get(HOOK) == when]


def settings(container: dict[str, Any]) -> dict[str, str]:
    """What a container is told, without the prefix."""
    return {
        each["name"].removeprefix("WASMLET_"): each.get("value", "")
        for each in container.get("env", [])
        if each["name"].startswith("WASMLET_")
    }
