"""Pods as an API server makes them, merges their status and remembers what was written."""

import json
from copy import deepcopy
from typing import Any

type Json = dict[str, Any]

KEYS = {"conditions": "type", "podIPs": "ip", "hostIPs": "ip"}


def api_pod(name: str, uid: str, node: str, **spec: Any) -> Json:
    """A pod as the API server has it after defaulting."""
    container = {
        "name": "main",
        "image": "registry.example/guest:1",
        "imagePullPolicy": "IfNotPresent",
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": uid,
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "containers": [container],
            "nodeName": node,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "enableServiceLinks": True,
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "serviceAccountName": "default",
            "serviceAccount": "default",
            **spec,
        },
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }


def created(body: Json, uid: str) -> Json:
    """What the API server makes of a pod that is posted."""
    given = {"uid": uid, "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
    status = {"phase": "Pending", "qosClass": "BestEffort"}
    return deepcopy(body) | {"metadata": body["metadata"] | given, "status": status}


def merged_status(status: Json, patch: Json) -> Json:
    """What a strategic merge makes of a status."""
    result = deepcopy(status)
    for field, value in patch.items():
        if field.startswith("$"):
            continue
        if value is None:
            result.pop(field, None)
        elif field in KEYS:
            result[field] = _merged_list(result.get(field) or [], value, KEYS[field])
        else:
            result[field] = value
    order = [entry["type"] for entry in patch.get("$setElementOrder/conditions", ())]
    if order:
        result["conditions"].sort(key=lambda each: order.index(each["type"]))
    return result


def _merged_list(before: list[Json], patch: list[Json], key: str) -> list[Json]:
    if {"$patch": "replace"} in patch:
        return [each for each in patch if "$patch" not in each]
    items = {each[key]: each for each in before}
    for each in patch:
        if each.get("$patch") == "delete":
            items.pop(each[key], None)
            continue
        merged = items.get(each[key], {}) | each
        # lastProbeTime is the one field that the API server writes as null
        items[each[key]] = {
            name: value
            for name, value in merged.items()
            if value is not None or name == "lastProbeTime"
        }
    return list(items.values())


class Write:
    """One write that the server was asked for."""

    def __init__(self, method: str, path: str, body: Json) -> None:
        self.method, self.path, self.body = method, path, body

    @property
    def status(self) -> Json:
        return dict(self.body["status"])

    def __repr__(self) -> str:
        return f"{self.method} {self.path} {json.dumps(self.body)}"
