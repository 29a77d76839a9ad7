"""The cluster edge of certificates: requests are listed, read and approved."""

import base64
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from kubekit.errors import ConflictError, MalformedAnswerError, NotFoundError
from kubekit.patches import MERGE
from kubekit.signingrequests import PATH
from node_registrar.domain.signing_requests import Asked
from node_registrar.kube import Cluster

_CN: Final = NameOID.COMMON_NAME
_O: Final = NameOID.ORGANIZATION_NAME
_KINDS: Final = (x509.DNSName, x509.IPAddress)


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    uid: str
    resource_version: str


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    request: str
    signer_name: str
    usages: tuple[str, ...] = ()
    username: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] | None = None


class _Status(msgspec.Struct, frozen=True):
    conditions: tuple[dict[str, Any], ...] = ()
    certificate: str = ""


class Pending(msgspec.Struct, frozen=True):
    """One object of the API, as it was listed."""

    metadata: _Meta
    spec: _Spec
    status: _Status = _Status()


class _List(msgspec.Struct, frozen=True):
    items: tuple[Pending, ...] = ()


class SigningRequests:
    """The requests of one API server that ask for a kubelet's certificate."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def pending(self, signer: str) -> list[Pending]:
        """Return those of a signer that nobody has decided; raises `ApiError`."""
        query = {"fieldSelector": f"spec.signerName={signer}"}
        answer = await self._cluster.api.request("GET", PATH, query=query)
        try:
            listed = msgspec.json.decode(answer.body, type=_List).items
        except msgspec.DecodeError as error:
            raise MalformedAnswerError(f"signing requests: {error}") from error
        return [each for each in listed if not each.status.conditions]

    async def approve(self, request: Pending) -> bool:
        """Approve this very version, and say whether it was: it may have changed or gone."""
        meta = request.metadata
        condition = {
            "type": "Approved",
            "status": "True",
            "reason": "WasmletNode",
            "message": "asked by a node of wasmlet's for itself",
        }
        patch = {
            "metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version},
            "status": {"conditions": [condition]},
        }
        path = f"{PATH}/{meta.name}/approval"
        try:
            await self._cluster.write("PATCH", path, msgspec.json.encode(patch), MERGE)
        except (ConflictError, NotFoundError):
            return False
        return True


def asked_of(request: Pending) -> Asked | None:
    """Return what a request asks for, None where it cannot be read.

    The API server stores whatever a stranger wrote, and the parser reads each part when it is asked
    for it: so all of it is read here, and whatever stops it stops nothing else.
    """
    spec = request.spec
    try:
        parsed = x509.load_pem_x509_csr(base64.b64decode(spec.request))
        subject, names = list(parsed.subject), _names(parsed)
    except Exception:  # noqa: BLE001 - the parser's errors have no base: Value-, TypeError, its own
        return None
    common = [str(each.value) for each in subject if each.oid == _CN]
    groups = [str(each.value) for each in subject if each.oid == _O]
    is_plain = len(common) == 1 and len(subject) == len(common) + len(groups)
    return Asked(
        common_name=common[0] if is_plain else "",
        organizations=tuple(groups),
        dns_names=tuple(each.value for each in names if isinstance(each, x509.DNSName)),
        addresses=tuple(str(each.value) for each in names if isinstance(each, x509.IPAddress)),
        other_names=any(not isinstance(each, _KINDS) for each in names),
        usages=frozenset(spec.usages),
        username=spec.username,
        groups=spec.groups,
        extra=spec.extra or {},
    )


def _names(parsed: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    try:
        found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(found.value)
