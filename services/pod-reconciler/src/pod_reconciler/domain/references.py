"""What of an API server a pod refers to. A static pod may not: it starts while there is none."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pod_reconciler.domain.pod import Json

_CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")
_VARIABLES: Final = {"configMapKeyRef": "configmaps", "secretKeyRef": "secrets"}
_VARIABLE_SETS: Final = {"configMapRef": "configmaps", "secretRef": "secrets"}
_VOLUMES: Final = {
    "configMap": "configmaps (via configmap volumes)",
    "secret": "secrets (via secret volumes)",
    "csi": "csidrivers (via CSI volumes)",
    "glusterfs": "endpoints (via glusterFS volumes)",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "ephemeral": "persistentvolumeclaims (via ephemeral volumes)",
    "azureFile": "secrets (via azureFile volumes)",
}
_SOURCES: Final = {
    "configMap": "configmaps (via projected volumes)",
    "secret": "secrets (via projected volumes)",
    "serviceAccountToken": "serviceaccounts (via projected volumes)",
    "clusterTrustBundle": "clustertrustbundles",
    "podCertificate": "podcertificates",
}


def api_references(pod: Json) -> Iterator[str]:
    """The kinds of objects that a pod refers to, in the kubelet's words."""
    spec = pod["spec"]
    if spec.get("serviceAccountName"):
        yield "serviceaccounts"
    if spec.get("imagePullSecrets"):
        yield "secrets"
    for field in _CONTAINERS:
        for container in _mappings(spec.get(field)):
            yield from _of_container(container)
    if spec.get("resourceClaims"):
        yield "resourceclaims"
    for volume in _mappings(spec.get("volumes")):
        yield from _of_volume(volume)


def _of_container(container: Mapping[str, Any]) -> Iterator[str]:
    for variable in _mappings(container.get("env")):
        source = variable.get("valueFrom")
        if isinstance(source, Mapping):
            yield from (kind for key, kind in _VARIABLES.items() if key in source)
    for source in _mappings(container.get("envFrom")):
        yield from (kind for key, kind in _VARIABLE_SETS.items() if key in source)


def _of_volume(volume: Mapping[str, Any]) -> Iterator[str]:
    yield from (kind for key, kind in _VOLUMES.items() if key in volume)
    projected = volume.get("projected")
    if isinstance(projected, Mapping):
        for source in _mappings(projected.get("sources")):
            yield from (kind for key, kind in _SOURCES.items() if key in source)
    if any(isinstance(body, Mapping) and "secretRef" in body for body in volume.values()):
        yield "secrets"


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    """The items that can be looked into; what is wrong with others is told elsewhere."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
