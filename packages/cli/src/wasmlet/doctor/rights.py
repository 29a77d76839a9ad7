"""Whether each service may do what it does: every rule of its roles, asked of the API server.

Which rules are needed is what the pods of the services are told; options win over that.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from kubekit.client import Api
from wasmlet.doctor.arguments import DoctorOptions
from wasmlet.doctor.cluster import pods_of_services
from wasmlet.doctor.findings import Finding, problem, well
from wasmlet.roles import OF_CERTIFICATES, OF_SERVICES, roles

REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_SHOWN: Final = 3
_TRUE: Final = ("true", "1")


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


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation was told that decides upon rights."""

    namespaces: tuple[str, ...] = ()
    """Where pods' objects are read; empty: everywhere."""
    csr: bool = False
    """Whether the cluster signs certificates of nodes."""


async def rights_findings(api: Api, options: DoctorOptions) -> list[Finding]:
    """Ask for every right of every service."""
    needs = needs_of(await pods_of_services(api, options.namespace), options)
    denied: dict[str, list[str]] = {}
    for right in needed(options.namespace, needs):
        missing = denied.setdefault(right.account, [])
        if not await _is_allowed(api, options.namespace, right):
            missing.append(right.text())
    return [_finding(account, missing, needs) for account, missing in denied.items()]


def needs_of(pods: Sequence[Mapping[str, Any]], options: DoctorOptions) -> Needs:
    """Return what these pods are told, where the options say nothing else."""
    told: dict[str, str] = {}
    for pod in pods:
        for container in pod["spec"]["containers"]:
            told |= {each["name"]: each.get("value", "") for each in container.get("env", ())}
    confined = _listed(told.get("WASMLET_NAMESPACES", ""))
    signs = told.get("WASMLET_CERTIFICATE_MODE") == "csr"
    approves = told.get("WASMLET_APPROVE_CERTIFICATES", "").lower() in _TRUE
    return Needs(namespaces=options.namespaces or confined, csr=options.csr or signs or approves)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name for each in text.split(",") if (name := each.strip()))


def needed(namespace: str, needs: Needs = Needs()) -> Iterator[Right]:  # noqa: B008 -- frozen
    """Yield what the roles of this version say, for services in this namespace."""
    documents = list(roles(OF_SERVICES, namespace, needs.namespaces))
    if needs.csr:
        documents += roles(OF_CERTIFICATES, namespace)
    rules = {_key(each["kind"], each["metadata"]): each.get("rules") for each in documents}
    for binding in documents:
        if not binding["kind"].endswith("Binding") or "roleRef" not in binding:
            continue
        place = binding["metadata"].get("namespace")
        name = {"name": binding["roleRef"]["name"]}
        is_role = binding["roleRef"]["kind"] == "Role"
        key = _key(binding["roleRef"]["kind"], name | ({"namespace": place} if is_role else {}))
        accounts = [each for each in binding["subjects"] if each["kind"] == "ServiceAccount"]
        for account in accounts:
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


def _finding(account: str, missing: Sequence[str], needs: Needs) -> Finding:
    about = f"rights of {account}"
    if not missing:
        return well(about, "all that it needs")
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    files = "deploy/rbac.yaml"
    if needs.csr:
        files += " and helm/wasmlet/files/certificates-rbac.yaml"
    advice = f"apply {files}, or `helm upgrade` with rbac.create"
    return problem(about, f"it may not {', '.join(missing[:_SHOWN])}{more}", advice)
