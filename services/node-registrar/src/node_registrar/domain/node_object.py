"""The Node object: from configuration who it is, from the executor what it can.

An executor is believed about capacity (up to the configured caps), nodeInfo and runtimes, the
log-server about its address once that has been checked, and nobody about names, labels, taints.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from contract.ids import NodeName
from contract.messages.node import NodeFacts
from node_registrar.domain import quantities
from node_registrar.domain.addresses import Endpoint
from node_registrar.domain.granting import Grant, annotations_of
from node_registrar.domain.node_view import NodeView
from node_registrar.settings import (
    LABEL_ARCH,
    LABEL_HOSTNAME,
    LABEL_OS,
    RegistrarSettings,
    Taint,
    labels_of,
    taints_of,
)

CONTROLLER_ATTACHES: Final = "volumes.kubernetes.io/controller-managed-attach-detach"
"""Without this annotation the attach-detach controller ignores the Node."""

SERVER_CERTIFICATE: Final = "wasmlet.dev/server-certificate"
"""The annotation by which a restarted registrar recognises a Node's log-server."""

# What the kubelet corrects whenever it finds it changed. Other labels are the cluster's to change.
DECLARED_FEATURES: Final = ("ExtendWebSocketsToKubelet", "RestartAllContainersOnContainerExits")
"""What the scheduler asks of a Node before it places pods that need it. Sorted and unique: the API
server refuses the status otherwise."""

_FIXED_LABELS: Final = (
    LABEL_HOSTNAME,
    LABEL_OS,
    LABEL_ARCH,
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
)


class NodeTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """What configuration says about every Node."""

    labels: dict[str, str]
    taints: tuple[Taint, ...]
    kubernetes_version: str


MOST_IMAGES: Final = 50
"""The kubelet's `nodeStatusMaxImages`."""


def template_of(settings: RegistrarSettings) -> NodeTemplate:
    """Return the template that these settings describe."""
    return NodeTemplate(
        labels=labels_of(settings),
        taints=taints_of(settings),
        kubernetes_version=settings.kubernetes_version,
    )


def node_labels(name: NodeName, template: NodeTemplate) -> dict[str, str]:
    """Return all labels of a new Node."""
    return {LABEL_HOSTNAME: name, **template.labels}


def provider_id(name: NodeName) -> str:
    """Return an id that no cloud knows: one who finds none asks its cloud by name, and deletes."""
    return f"wasmlet://{name}"


def adopted_spec(view: NodeView) -> dict[str, Any]:
    """Return the spec that a Node found lacks. An id that is there can never be another."""
    present = view.spec.get("providerID")
    return {} if present else {"providerID": provider_id(NodeName(view.metadata.name))}


def new_node(
    name: NodeName, template: NodeTemplate, grant: Grant, status: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a Node to create: the one moment at which taints are written."""
    recorded = {key: value for key, value in annotations_of(grant).items() if value is not None}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": node_labels(name, template),
            "annotations": {CONTROLLER_ATTACHES: "true", **recorded},
        },
        "spec": {
            "providerID": provider_id(name),
            "taints": [msgspec.to_builtins(taint) for taint in template.taints],
        },
        "status": dict(status),
    }


def adoption(
    view: NodeView, template: NodeTemplate, endpoint: Endpoint | None = None
) -> dict[str, Any]:
    """Return the metadata that a Node found at registration lacks; taints stay as they are."""
    wanted = node_labels(NodeName(view.metadata.name), template)
    missing = {key: value for key, value in wanted.items() if key not in view.metadata.labels}
    return _metadata(missing | _wrong_labels(view, wanted), view, endpoint)


def correction(
    view: NodeView, template: NodeTemplate, endpoint: Endpoint | None = None
) -> dict[str, Any]:
    """Return the metadata that must be put right on a Node at any time."""
    wanted = node_labels(NodeName(view.metadata.name), template)
    return _metadata(_wrong_labels(view, wanted), view, endpoint)


def _wrong_labels(view: NodeView, wanted: Mapping[str, str]) -> dict[str, str]:
    shown = view.metadata.labels
    return {key: wanted[key] for key in _FIXED_LABELS if shown.get(key) != wanted[key]}


def _metadata(labels: dict[str, str], view: NodeView, endpoint: Endpoint | None) -> dict[str, Any]:
    annotations = {CONTROLLER_ATTACHES: "true"}
    if endpoint is not None:
        annotations[SERVER_CERTIFICATE] = endpoint.certificate_sha256
    shown = view.metadata.annotations
    lacking = {key: value for key, value in annotations.items() if shown.get(key) != value}
    changes: dict[str, Any] = {"labels": labels} if labels else {}
    return changes | ({"annotations": lacking} if lacking else {})


def endpoint_of(view: NodeView) -> Endpoint | None:
    """Return the log-server that this Node names, if it can be recognised."""
    certificate = view.metadata.annotations.get(SERVER_CERTIFICATE, "")
    if not (certificate and view.address and view.kubelet_port):
        return None
    return Endpoint(address=view.address, port=view.kubelet_port, certificate_sha256=certificate)


def is_rebooted(view: NodeView, facts: NodeFacts) -> bool:
    """Say whether the machine under this Node has been started anew."""
    shown = (view.status.get("nodeInfo") or {}).get("bootID", "")
    return bool(shown and facts.boot_id and shown != facts.boot_id)


def facts_status(facts: NodeFacts, template: NodeTemplate) -> dict[str, Any]:
    """Return the part of the status that the executor tells. `capping` has seen to the facts."""
    capacity = _Amounts(
        cpu_millis=facts.cpu_millis,
        memory_bytes=facts.memory_bytes,
        storage_bytes=facts.ephemeral_storage_bytes,
        pods=facts.pods,
    )
    allocatable = msgspec.structs.replace(
        capacity,
        cpu_millis=facts.allocatable_cpu_millis,
        memory_bytes=facts.allocatable_memory_bytes,
    )
    return {
        "capacity": capacity.resources(),
        "allocatable": allocatable.resources(),
        "nodeInfo": _node_info(facts, template),
        "runtimeHandlers": [{"name": name} for name in ("", *sorted(set(facts.runtimes) - {""}))],
        "declaredFeatures": list(DECLARED_FEATURES),
        "images": [
            {"names": list(each.names), "sizeBytes": each.size_bytes}
            for each in facts.images[:MOST_IMAGES]
        ],
    }


class _Amounts(msgspec.Struct, frozen=True, kw_only=True):
    cpu_millis: int
    memory_bytes: int
    storage_bytes: int
    pods: int

    def resources(self) -> dict[str, str]:
        return {
            "cpu": quantities.cpu(self.cpu_millis),
            "ephemeral-storage": quantities.size(self.storage_bytes),
            "memory": quantities.size(self.memory_bytes),
            "pods": str(self.pods),
        }


def _node_info(facts: NodeFacts, template: NodeTemplate) -> dict[str, str]:
    return {
        "machineID": facts.machine_id,
        "systemUUID": facts.system_uuid,
        "bootID": facts.boot_id,
        "kernelVersion": facts.kernel_version,
        "osImage": facts.os_image,
        "containerRuntimeVersion": facts.runtime_version,
        "kubeletVersion": kubelet_version(template.kubernetes_version, facts.version),
        "kubeProxyVersion": "",
        "operatingSystem": template.labels[LABEL_OS],
        "architecture": template.labels[LABEL_ARCH],
    }


def kubelet_version(kubernetes_version: str, own_version: str) -> str:
    """Return a version that parses as semver: controllers and kubeadm check the skew by it."""
    parts = re.sub(r"[^0-9A-Za-z.]+", "-", own_version).split(".")
    own = [part.lstrip("0") or "0" if part.isdigit() else part.strip("-") for part in parts]
    return ".".join([f"{kubernetes_version}-wasmlet", *(part for part in own if part)])


def address_status(
    name: NodeName, endpoint: Endpoint, address_type: str = "InternalIP"
) -> dict[str, Any]:
    """Return the part of the status that says where the kubelet API of this Node is."""
    return {
        "addresses": [
            {"type": address_type, "address": endpoint.address},
            {"type": "Hostname", "address": name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": endpoint.port}},
    }


def differing(status: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `status` that the API shows otherwise."""
    return {
        field: value
        for field, value in status.items()
        if not _same(field, value, current.get(field))
    }


def _same(field: str, wanted: Any, shown: Any) -> bool:
    if shown is None:
        return not wanted
    if field in ("capacity", "allocatable"):
        return quantities.covers(shown, wanted)
    if field == "nodeInfo":
        return all(shown.get(key, "") == value for key, value in wanted.items())
    if field == "runtimeHandlers":
        return sorted(each["name"] for each in shown) == [each["name"] for each in wanted]
    return bool(wanted == shown)


def is_foreign(view: NodeView) -> bool:
    """Say whether a living kubelet that is not ours keeps this Node."""
    version = view.kubelet_version
    ready = view.conditions().get("Ready", {}).get("status") == "True"
    return ready and bool(version) and "wasmlet" not in version
