"""Our Nodes: whether they are Ready, and their kubelet port can be reached and is current."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from kubekit.certificates import names_address
from kubekit.client import Api
from kubekit.errors import ApiError, NotFoundError, ServerError
from wasmlet.doctor.arguments import DoctorOptions
from wasmlet.doctor.certificates import certificate_finding
from wasmlet.doctor.findings import Finding, problem, warning, well
from wasmlet.installation import INCARNATION

KINDNET: Final = "/apis/apps/v1/namespaces/kube-system/daemonsets/kindnet"
_ANSWER_WITHIN_S: Final = 5.0


async def node_findings(api: Api, _: DoctorOptions) -> list[Finding]:
    """Return what is to be said of each Node of ours."""
    answer = await api.request("GET", "/api/v1/nodes")
    items = msgspec.json.decode(answer.body)["items"]
    ours = [each for each in items if INCARNATION in each["metadata"].get("annotations", {})]
    if not ours:
        advice = "start one: `wasmlet up`, or look at the pods of the DaemonSet wasm-node"
        return [warning("nodes", "there is no Node of wasmlet", advice)]
    found = [finding for node in ours for finding in await _of_node(api, node)]
    return [*found, *await _routed(api, ours)]


async def _routed(api: Api, nodes: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Say whether kindnet takes one of our Nodes for a machine that it may route by."""
    shown = [
        node["metadata"]["name"]
        for node in nodes
        if any(e["type"] == "InternalIP" for e in node.get("status", {}).get("addresses", []))
    ]
    try:
        await api.request("GET", KINDNET)
    except NotFoundError:
        return []
    if not shown:
        return [well("kindnet", "takes none of our Nodes for a machine")]
    text = f"routes by the address of {', '.join(shown[:3])}, and ends where it cannot"
    return [
        problem("kindnet", text, "helm upgrade --set nodePool.kubeletPort.addressType=ExternalIP")
    ]


async def _of_node(api: Api, node: dict[str, Any]) -> list[Finding]:
    name = node["metadata"]["name"]
    found = [_readiness(name, node)]
    if node["spec"].get("unschedulable"):
        advice = f"kubectl uncordon {name}, or its machine"
        found.append(warning(f"node {name}", "it is cordoned", advice))
    found.append(await _port(api, name))
    return [*found, *await _certificate(name, node)]


def _readiness(name: str, node: dict[str, Any]) -> Finding:
    conditions = {each["type"]: each for each in node.get("status", {}).get("conditions", [])}
    ready = conditions.get("Ready", {})
    if ready.get("status") == "True":
        version = node["status"].get("nodeInfo", {}).get("kubeletVersion", "")
        return well(f"node {name}", f"Ready, {version}")
    advice = (
        "its executor is silent: is it up, and does it reach the bus?"
        if ready.get("status") == "Unknown"
        else "see `docs/troubleshooting.md`"
    )
    return problem(f"node {name}", f"not Ready: {ready.get('message', 'no status yet')}", advice)


async def _port(api: Api, name: str) -> Finding:
    """Ask the API server to ask the kubelet port, as it does for `kubectl logs`."""
    about = f"kubelet port of {name}"
    try:
        await api.request("GET", f"/api/v1/nodes/{name}/proxy/healthz")
    except ServerError as error:
        advice = "`kubectl logs` and `exec` fail too: open the way from the API server, or see "
        return problem(about, f"{error}", f"{advice}`nodePool.kubeletPort` in docs/install-helm.md")
    except ApiError as error:
        return warning(about, f"{error}", "look at the log-server's log")
    return well(about, "the API server reaches it")


async def _certificate(name: str, node: dict[str, Any]) -> list[Finding]:
    status = node.get("status", {})
    port = status.get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port")
    addresses = [e["address"] for e in status.get("addresses", []) if e["type"].endswith("IP")]
    if not port or not addresses:
        return []
    try:
        pem = await asyncio.to_thread(
            ssl.get_server_certificate, (addresses[0], port), timeout=_ANSWER_WITHIN_S
        )
    except OSError:
        return []  # not from here; the API server was asked above
    about = f"certificate of {name}"
    advice = "renew it where it lies in a Secret; else restart its log-server, and kubectl get csr"
    found = [certificate_finding(about, pem, advice)]
    if not names_address(pem.encode(), addresses[0]):
        text = f"it does not name {addresses[0]}: who verifies it, refuses it"
        found.append(warning(about, text, "`certificates` by mode in docs/identity.md"))
    return found
