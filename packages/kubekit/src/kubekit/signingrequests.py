"""A certificate by way of the API: a request is created, others approve and sign it.

The key stays with the caller; only the request leaves it. What this promises: it waits for as long
as it is told, looks more and more rarely, and says whether the request was refused or merely not
signed yet, so that nobody has to ask twice for what is still awaited.
"""

import asyncio
import base64
import random
import time
from typing import Any, Final

import msgspec

from kubekit.backoff import Backoff
from kubekit.client import Api
from kubekit.errors import ApiError, KubekitError

PATH: Final = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
KUBELET_SERVING: Final = "kubernetes.io/kubelet-serving"
KUBELET_CLIENT: Final = "kubernetes.io/kube-apiserver-client-kubelet"
SHORTEST_S: Final = 600
"""The API takes no shorter life."""


class SigningError(KubekitError):
    """There is no certificate, and of this request there will be none."""


class UnsignedError(SigningError):
    """Nobody has signed the request in time: it may be waited for again."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for."""

    prefix: str
    """Of the request's name."""
    request: bytes
    """PKCS #10, as PEM."""
    signer: str
    usages: tuple[str, ...]
    lifetime_s: float


class _Condition(msgspec.Struct, frozen=True):
    type: str
    reason: str = ""
    message: str = ""


class _Status(msgspec.Struct, frozen=True):
    certificate: str = ""
    conditions: tuple[_Condition, ...] = ()


class _Meta(msgspec.Struct, frozen=True):
    name: str


class _Request(msgspec.Struct, frozen=True):
    metadata: _Meta
    status: _Status = _Status()


async def signed(api: Api, wanted: Wanted, within_s: float) -> bytes:
    """Ask and wait; raises `SigningError` or `ApiError`."""
    return await awaited(api, await asked(api, wanted), within_s)


async def asked(api: Api, wanted: Wanted) -> str:
    """Create a request and return its name; raises `SigningError` or `ApiError`."""
    body = msgspec.json.encode(_body(wanted))
    return _decoded((await api.request("POST", PATH, body=body)).body).metadata.name


async def awaited(api: Api, name: str, within_s: float) -> bytes:
    """Return the certificate of a request as PEM; raises `SigningError` or `ApiError`.

    An API server that is away for a moment costs nothing but the time.
    """
    seen = "nobody has approved it"
    backoff = Backoff(random.random)
    try:
        async with asyncio.timeout(within_s):
            while True:
                await asyncio.sleep(backoff.delay_s(time.monotonic()))
                try:
                    found = _decoded((await api.request("GET", f"{PATH}/{name}")).body)
                except ApiError as error:
                    if not error.retryable:
                        raise
                    seen = str(error)
                    continue
                if certificate := _certificate(found):
                    return certificate
                seen = "nobody has signed it" if found.status.conditions else seen
    except TimeoutError as error:
        raise UnsignedError(f"request {name}: {seen} within {within_s:.0f} s") from error


def _body(wanted: Wanted) -> dict[str, Any]:
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": wanted.prefix},
        "spec": {
            "request": base64.b64encode(wanted.request).decode("ascii"),
            "signerName": wanted.signer,
            "usages": wanted.usages,
            "expirationSeconds": max(SHORTEST_S, int(wanted.lifetime_s)),
        },
    }


def _certificate(request: _Request) -> bytes:
    """Return what was signed, nothing while it is awaited; raises `SigningError`."""
    for condition in request.status.conditions:
        if condition.type in {"Denied", "Failed"}:
            said = f"{condition.type}: {condition.reason} {condition.message}".strip()
            raise SigningError(f"request {request.metadata.name} was not signed: {said}")
    return base64.b64decode(request.status.certificate)


def _decoded(body: bytes) -> _Request:
    try:
        return msgspec.json.decode(body, type=_Request)
    except msgspec.MsgspecError as error:
        raise SigningError(f"the API server's answer is no signing request: {error}") from error
