"""The certificates of kubelet ports: the Secret that pods mount, and requests nobody has signed.

What a port shows at this moment is looked at with its Node.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from kubekit.certificates import UNREADABLE
from kubekit.client import Api
from kubekit.errors import NotFoundError
from kubekit.signingrequests import KUBELET_SERVING, PATH
from wasmlet.doctor.arguments import DoctorOptions
from wasmlet.doctor.certificates import certificate_finding
from wasmlet.doctor.cluster import pods_of_services
from wasmlet.doctor.findings import Finding, problem, warning

VOLUME: Final = "kubelet-tls"
"""Of the chart's node pods, where somebody else keeps the certificate."""


async def kubelet_certificate_findings(api: Api, options: DoctorOptions) -> list[Finding]:
    """Return what is to be said of them; nothing where each log-server signs its own."""
    pods = await pods_of_services(api, options.namespace)
    names = {name for pod in pods for name in _secrets(pod)}
    of_secrets = [await _of_secret(api, options.namespace, name) for name in sorted(names)]
    return [*of_secrets, *await _of_requests(api)]


def _secrets(pod: Mapping[str, Any]) -> list[str]:
    volumes = [each for each in pod["spec"].get("volumes", ()) if each["name"] == VOLUME]
    return [each["secret"]["secretName"] for each in volumes if "secret" in each]


async def _of_secret(api: Api, namespace: str, name: str) -> Finding:
    about = f"secret {name}"
    replace = f"kubectl create secret tls {name} -n {namespace} --cert=... --key=..."
    advice = f"{replace}; of cert-manager: kubectl describe certificate -n {namespace} {name}"
    try:
        answer = await api.request("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
    except NotFoundError:
        return problem(about, "it is not there, and the pods of wasm-node wait for it", advice)
    data = msgspec.json.decode(answer.body).get("data") or {}
    certificate, key = (_decoded(data.get(each, "")) for each in ("tls.crt", "tls.key"))
    if fault := pair_fault(certificate, key):
        return problem(about, fault, advice)
    return certificate_finding(about, certificate.decode(), advice)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""


def pair_fault(certificate: bytes, key: bytes) -> str:
    """Say why no server could show this pair, nothing where one can. The key is told to nobody."""
    try:
        first = x509.load_pem_x509_certificates(certificate)[0]
    except UNREADABLE:
        return "its tls.crt holds no certificate in PEM"
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "its tls.key holds no key in PEM without a password"
    try:
        is_its_key = private.public_key() == first.public_key()
    except UNREADABLE as error:
        return f"its tls.crt cannot be used: {error}"
    return "" if is_its_key else "its tls.key is not the key of its tls.crt"


async def _of_requests(api: Api) -> list[Finding]:
    """Return what became of each Node's last request, where that is no certificate."""
    query = {"fieldSelector": f"spec.signerName={KUBELET_SERVING}"}
    answer = await api.request("GET", PATH, query=query)
    items = msgspec.json.decode(answer.body)["items"]
    ours = [each for each in items if each["metadata"]["name"].startswith("wasmlet-")]
    last = {
        _node(each): each for each in sorted(ours, key=lambda e: e["metadata"]["creationTimestamp"])
    }
    found = (_of_request(node, each) for node, each in sorted(last.items()))
    return [each for each in found if each is not None]


def _node(request: Mapping[str, Any]) -> str:
    """Return the Node by the prefix that its log-server gives: the API server adds five letters."""
    name: str = request["metadata"]["name"]
    return name.removeprefix("wasmlet-")[:-6]


def _of_request(node: str, request: Mapping[str, Any]) -> Finding | None:
    about, name = f"request of {node}", request["metadata"]["name"]
    status = request.get("status", {})
    conditions: Sequence[Mapping[str, Any]] = status.get("conditions", ())
    for each in conditions:
        if each["type"] in ("Denied", "Failed"):
            said = " ".join(filter(None, (each.get("reason"), each.get("message"))))
            advice = f"see kubectl describe csr {name}; its log-server asks again by itself"
            return problem(about, f"{each['type'].lower()}: {said or 'without a reason'}", advice)
    if status.get("certificate"):
        return None
    if conditions:
        advice = "does the controller-manager have --cluster-signing-cert-file?"
        return warning(about, "approved, and nobody has signed it", advice)
    advice = f"kubectl certificate approve {name}, or see why the registrar did not (its log)"
    return warning(about, "nobody has approved it", advice)
