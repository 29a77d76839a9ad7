"""The roles of the services as this version has them, for whatever namespace they run in.

They lie in two files, which the chart renders as well: what every installation needs, and what
certificates need that the cluster signs.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from kubekit.client import Api
from wasmlet.installation import NAMESPACE

OF_SERVICES: Final = "rbac.yaml"
OF_CERTIFICATES: Final = "certificates-rbac.yaml"
_OBJECTS: Final = "wasmlet-pod-reconciler-objects"
_APPLY: Final = "application/apply-patch+yaml"
_IRREGULAR: Final = {"ValidatingAdmissionPolicy": "validatingadmissionpolicies"}


def roles(
    file: str = OF_SERVICES, namespace: str = NAMESPACE, namespaces: Sequence[str] = ()
) -> Iterator[Mapping[str, Any]]:
    """Yield a file's objects for services in this namespace.

    With namespaces, what pods name can be read there alone.
    """
    text = (Path(__file__).parent / file).read_text().replace(NAMESPACE, namespace)
    for document in yaml.safe_load_all(text):
        is_wide = document["kind"] == "ClusterRoleBinding"
        if not (namespaces and is_wide and document["metadata"]["name"] == _OBJECTS):
            yield document
            continue
        for confined in namespaces:
            metadata = {"name": _OBJECTS, "namespace": confined}
            yield document | {"kind": "RoleBinding", "metadata": metadata}


async def apply(api: Api, document: Mapping[str, Any]) -> None:
    """Make the object be as it is here, whoever wrote it before."""
    body = msgspec.json.encode(document)
    query = {"fieldManager": "wasmlet", "force": "true"}
    await api.request("PATCH", path_of(document), query=query, body=body, content_type=_APPLY)


def path_of(document: Mapping[str, Any]) -> str:
    """Return where the API server has such an object."""
    metadata, group, kind = document["metadata"], document["apiVersion"], document["kind"]
    root = f"/api/{group}" if "/" not in group else f"/apis/{group}"
    scope = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{scope}/{_IRREGULAR.get(kind, f'{kind.lower()}s')}/{metadata['name']}"
