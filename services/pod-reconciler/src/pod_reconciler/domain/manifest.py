"""From a manifest's document to a pod, as an API server would have made it. Pure.

A static pod has met no validation: its names become folders and subjects, so they are checked here.
Its UID follows from its content and its node, so that it is the same after every restart, and a
changed manifest is a new pod.
"""

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from contract.ids import NodeName
from pod_reconciler.domain.forms import LABEL, SUBDOMAIN
from pod_reconciler.domain.pod import Json, Pod, decoder
from pod_reconciler.domain.references import api_references
from pod_reconciler.errors import ManifestError
from podspec.empty import without_empty

FILE_SCHEME: Final = "file:"
CONTAINER_FIELDS: Final = ("initContainers", "containers")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A pod's JSON before it is bound to a node, and where it came from."""

    source: str
    pod: Json

    @property
    def name(self) -> tuple[str, str]:
        """Namespace and name: one manifest may claim them."""
        metadata = self.pod["metadata"]
        return str(metadata["namespace"]), str(metadata["name"])


def manifest_of(document: object, source: str, folder: Path) -> Manifest:
    """Check a document and fill in what an API server would; raises `ManifestError`."""
    if not isinstance(document, Mapping):
        raise ManifestError(source, "it is no mapping")
    kind = f"{document.get('apiVersion')} {document.get('kind')}"
    if kind != "v1 Pod":
        raise ManifestError(source, f"only v1 Pods run from a folder, and this is a {kind}")
    pod = without_empty(_without_nulls(document))
    problem = next(_problems(pod), None)
    if problem is not None:
        raise ManifestError(source, problem)
    metadata = {"namespace": "default", "generation": 1} | pod.get("metadata", {})
    spec = pod["spec"] | {
        field: [_located(each, folder) for each in _containers(pod, field)]
        for field in CONTAINER_FIELDS
        if isinstance(pod["spec"].get(field), list)
    }
    filled = msgspec.json.encode(pod | {"metadata": metadata, "spec": spec, "status": {}})
    try:
        decoder.decode(filled)
    except msgspec.DecodeError as error:
        raise ManifestError(source, str(error)) from error
    # From here on it is JSON and nothing else: YAML knows bytes and sets, too.
    return Manifest(source=source, pod=msgspec.json.decode(filled))


def bound(manifest: Manifest, node: NodeName) -> Json:
    """The pod on one node."""
    content = msgspec.json.encode([manifest.pod, node], order="deterministic")
    uid = uuid.UUID(bytes=hashlib.sha256(content).digest()[:16], version=5)
    pod = manifest.pod
    return pod | {
        "metadata": pod["metadata"] | {"uid": str(uid)},
        "spec": pod["spec"] | {"nodeName": node},
    }


def wants_node(manifest: Manifest, node: NodeName) -> bool:
    """Whether a static pod belongs on a node: on each, unless it names one."""
    return bool(manifest.pod["spec"].get("nodeName", node) == node)


def with_status(pod: Pod, pod_json: Json, status: Json) -> Json:
    """The pod with what was written merged into its status, as the API server merges it."""
    kept = {key: value for key, value in pod.status.items() if key not in ("reason", "message")}
    return pod_json | {"status": kept | status}


def _problems(pod: Json) -> Iterator[str]:
    metadata = pod.get("metadata")
    if not isinstance(metadata, Mapping):
        yield "metadata.name: Required value"
        return
    if not SUBDOMAIN.fullmatch(str(metadata.get("name", ""))):
        yield f"metadata.name: Invalid value: {metadata.get('name')!r}"
    if not LABEL.fullmatch(str(metadata.get("namespace", "default"))):
        yield f"metadata.namespace: Invalid value: {metadata.get('namespace')!r}"
    if not isinstance(pod.get("spec"), Mapping) or not _containers(pod):
        yield "spec.containers: Required value"
        return
    for kind in api_references(pod):
        yield f"static pods may not reference {kind}"
    if _containers(pod, "ephemeralContainers"):
        yield "spec.ephemeralContainers: Forbidden: they are added to pods that run"
    yield from _container_problems(pod)


def _container_problems(pod: Json) -> Iterator[str]:
    names = set()
    for path, container in _placed(pod):
        if not isinstance(container, Mapping):
            yield f"{path}: it is no mapping"
            return
        name = container.get("name")
        if not LABEL.fullmatch(str(name or "")):
            yield f"{path}.name: Invalid value: {name!r}"
        if name in names:
            yield f"{path}.name: Duplicate value: {name!r}"
        if not container.get("image"):
            yield f"{path}.image: Required value"
        names.add(name)


def _placed(pod: Json) -> Iterator[tuple[str, Any]]:
    for field in CONTAINER_FIELDS:
        for index, container in enumerate(_containers(pod, field)):
            yield f"spec.{field}[{index}]", container


def _containers(pod: Json, field: str = "containers") -> list[Any]:
    containers = pod["spec"].get(field)
    return containers if isinstance(containers, list) else []


def _located(container: Json, folder: Path) -> Json:
    """A module beside its manifest is found from anywhere."""
    image = container["image"]
    if not isinstance(image, str) or not image.startswith(FILE_SCHEME):
        return container
    path = folder / image.removeprefix(FILE_SCHEME)
    return container | {"image": f"{FILE_SCHEME}{path}"}


def _without_nulls(value: Any) -> Any:
    """A field that says nothing is as good as absent."""
    if isinstance(value, Mapping):
        return {str(key): _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value if each is not None]
    return value
