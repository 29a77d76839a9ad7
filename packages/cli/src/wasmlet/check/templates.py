"""Where the pods are in an object: a Pod is one, most others hold a template of them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from wasmlet.check.lines import Step

_TEMPLATE: Final = ("spec", "template")
_PLACES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("", "Pod"): (),
    ("", "PodTemplate"): ("template",),
    ("", "ReplicationController"): _TEMPLATE,
    ("apps", "DaemonSet"): _TEMPLATE,
    ("apps", "Deployment"): _TEMPLATE,
    ("apps", "ReplicaSet"): _TEMPLATE,
    ("apps", "StatefulSet"): _TEMPLATE,
    ("batch", "Job"): _TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", *_TEMPLATE),
}
_LIST: Final = "List"


class Owner(NamedTuple):
    """An object: how users name it, and its pod, if it has any."""

    kind: str
    name: str
    has_pods: bool = False
    pod: Any = None
    path: str = ""
    """Where the pod is in the object: `spec.template.`, or nothing."""
    steps: tuple[Step, ...] = ()
    """Where the object is in its document."""


def owners_in(content: Mapping[str, Any], steps: tuple[Step, ...] = ()) -> Iterator[Owner]:
    """The object itself, or each one of a List; `steps` led to it."""
    kind = str(content.get("kind", ""))
    items = content.get("items")
    if kind.endswith(_LIST) and isinstance(items, list):
        # The items of a typed List leave out what its own kind says.
        said = {"apiVersion": content.get("apiVersion"), "kind": kind.removesuffix(_LIST)}
        for position, item in enumerate(items):
            whole = {**said, **item} if isinstance(item, Mapping) else said
            yield from owners_in(whole, (*steps, "items", position))
    else:
        yield _owner_of(content, kind)._replace(steps=steps)


def _owner_of(content: Mapping[str, Any], kind: str) -> Owner:
    group, slash, _ = str(content.get("apiVersion", "")).partition("/")
    steps = _PLACES.get((group if slash else "", kind))
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    name = str(metadata.get("name") or metadata.get("generateName") or "?")
    if steps is None:
        return Owner(kind, name)
    pod: Any = content
    for step in steps:
        pod = pod.get(step) if isinstance(pod, Mapping) else None
    path = "".join(f"{step}." for step in steps)
    return Owner(kind, name, True, pod, path)
