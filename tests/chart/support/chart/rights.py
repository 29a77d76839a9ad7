"""The rights that our roles grant, held against what an audit log shows of their use."""

import json
from pathlib import Path
from typing import Any

from e2e.api import Api

from chart.helm import NAMESPACE
from wasmlet.doctor.rights import Right, needed

USERS = "users"


# What the installation has no use for, and who uses it where.
ELSEWHERE = {
    ("node-registrar", "create tokenreviews"): "nats.callout: e2e/nodes/test_bus_admission.py",
    ("pod-reconciler", "create pods"): "mirrors of static pods: e2e/test_static_pods.py",
    ("pod-reconciler", "get nodes"): "a list that lacks one: kubekit/test_reflector_deletions.py",
    ("pod-reconciler", "get pods"): "a list that lacks one: kubekit/test_reflector_deletions.py",
    ("pod-reconciler", "list services in default"): "confined: e2e/test_confined_reconciler.py",
    ("pod-reconciler", "watch services in default"): "confined: e2e/test_confined_reconciler.py",
}


class Unused:
    """The rights that are used neither here nor elsewhere; true when there are none."""

    def __init__(self, audit_log: Path) -> None:
        self.rights = unused(audit_log) - set(ELSEWHERE)

    def __bool__(self) -> bool:
        return not self.rights

    def __repr__(self) -> str:
        return f"unused: {sorted(self.rights)}"


def unused(audit_log: Path) -> set[tuple[str, str]]:
    """(account, right in words) of what no service has asked for."""
    events = [json.loads(line) for line in audit_log.read_text().splitlines()]
    return {
        (right.account, right.text())
        for right in needed(NAMESPACE)
        if not any(_uses(event, right) for event in events)
    }


def _uses(event: dict[str, Any], right: Right) -> bool:
    account = f"system:serviceaccount:{NAMESPACE}:{right.account}"
    asked = right.attributes
    what = event.get("objectRef", {})
    return (
        event["user"]["username"] == account
        and event["verb"] == asked["verb"]
        and what.get("resource") == asked["resource"]
        and what.get("subresource", "") == asked.get("subresource", "")
        and asked.get("namespace") in (None, what.get("namespace"))
        and asked.get("name") in (None, what.get("name"))
    )


def create_sources(api: Api, node: str) -> None:
    """What a pod may name, in the users' namespace: objects, and a folder of its node by claim."""
    root = f"/api/v1/namespaces/{USERS}"
    api.create(f"{root}/configmaps", {"metadata": {"name": "words"}, "data": {"WORD": "one"}})
    api.create(f"{root}/secrets", {"metadata": {"name": "hidden"}, "stringData": {"key": "two"}})
    size = {"storage": "1Mi"}
    volume = {
        "capacity": size,
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "by-hand",
        "hostPath": {"path": "/var/lib/wasmlet-claims"},
        "claimRef": {"namespace": USERS, "name": "folder"},
    }
    api.create("/api/v1/persistentvolumes", {"metadata": {"name": f"of-{node}"}, "spec": volume})
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "by-hand",
        "resources": {"requests": size},
    }
    api.create(f"{root}/persistentvolumeclaims", {"metadata": {"name": "folder"}, "spec": claim})


def naming(pod: dict[str, Any]) -> dict[str, Any]:
    """A pod that names a ConfigMap, a Secret, a token and a claim of its namespace."""
    (container,) = pod["spec"]["containers"]
    container["envFrom"] = [{"configMapRef": {"name": "words"}}]
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}}
    pod["spec"]["volumes"] = [
        {"name": "hidden", "secret": {"secretName": "hidden"}},
        {"name": "token", "projected": {"sources": [token]}},
        {"name": "claimed", "persistentVolumeClaim": {"claimName": "folder"}},
    ]
    container["volumeMounts"] = [
        {"name": volume["name"], "mountPath": f"/in/{volume['name']}"}
        for volume in pod["spec"]["volumes"]
    ]
    return pod
