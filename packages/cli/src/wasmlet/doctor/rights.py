"""Whether each service may do what it does: every rule of `rbac.yaml`, asked of the API server."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import yaml

from kubekit.client import Api
from wasmlet.doctor.findings import Finding, problem, well
from wasmlet.up.joining import NAMESPACE, roles

REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_SHOWN: Final = 3


class Right(NamedTuple):
    """One thing that one account has to be able to do."""

    account: str
    attributes: Mapping[str, str]

    def text(self) -> str:
        """Return it in words."""
        asked = self.attributes
        what = "/".join(asked[key] for key in ("resource", "subresource") if asked.get(key))
        where = f" in {asked['namespace']}" if "namespace" in asked else ""
        return f"{asked['verb']} {what}{where}"


async def rights_findings(api: Api, namespace: str) -> list[Finding]:
    """Ask for every right of every service."""
    denied: dict[str, list[str]] = {}
    for right in needed(namespace):
        missing = denied.setdefault(right.account, [])
        if not await _is_allowed(api, namespace, right):
            missing.append(right.text())
    return [_finding(account, missing) for account, missing in denied.items()]


def needed(namespace: str) -> Iterator[Right]:
    """Yield what the roles of this version say, for services in this namespace."""
    documents = [
        yaml.safe_load(yaml.safe_dump(each).replace(NAMESPACE, namespace)) for each in roles()
    ]
    rules = {_key(each["kind"], each["metadata"]): each.get("rules") for each in documents}
    for binding in documents:
        if not binding["kind"].endswith("Binding") or "roleRef" not in binding:
            continue
        place = binding["metadata"].get("namespace")
        name = {"name": binding["roleRef"]["name"]}
        is_role = binding["roleRef"]["kind"] == "Role"
        key = _key(binding["roleRef"]["kind"], name | ({"namespace": place} if is_role else {}))
        for account in binding["subjects"]:
            for attributes in _attributes(rules.get(key) or (), place):
                yield Right(account["name"], attributes)


def _key(kind: str, metadata: Mapping[str, Any]) -> tuple[str, str, str]:
    return kind, metadata.get("namespace", ""), metadata["name"]


def _attributes(rules: Sequence[Mapping[str, Any]], place: str | None) -> Iterator[dict[str, str]]:
    for rule in rules:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames") or ("",):
                    kind, _, below = resource.partition("/")
                    asked = {"group": rule["apiGroups"][0], "resource": kind, "verb": verb}
                    asked |= {"subresource": below} if below else {}
                    asked |= {"name": name} if name else {}
                    yield asked | ({"namespace": place} if place else {})


async def _is_allowed(api: Api, namespace: str, right: Right) -> bool:
    spec = {
        "user": f"system:serviceaccount:{namespace}:{right.account}",
        "groups": [
            *("system:serviceaccounts", f"system:serviceaccounts:{namespace}"),
            "system:authenticated",
        ],
        "resourceAttributes": right.attributes,
    }
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer = await api.request("POST", REVIEWS, body=msgspec.json.encode(body))
    return bool(msgspec.json.decode(answer.body)["status"].get("allowed"))


def _finding(account: str, missing: Sequence[str]) -> Finding:
    about = f"rights of {account}"
    if not missing:
        return well(about, "all that it needs")
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    advice = "apply deploy/rbac.yaml, or `helm upgrade` with rbac.create"
    return problem(about, f"it may not {', '.join(missing[:_SHOWN])}{more}", advice)
