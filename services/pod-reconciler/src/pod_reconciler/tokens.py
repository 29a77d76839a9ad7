"""Tokens of pods' service accounts: bound to the pod, renewed in time, held in memory alone."""

import random
import time
from collections.abc import Hashable
from typing import Any, Final

import msgspec
import structlog

from kubekit.client import Api
from kubekit.errors import ApiError
from pod_reconciler.domain.material import Lack, TokenKey
from pod_reconciler.domain.pod import Pod

log = structlog.get_logger()

LONGEST_USE_S: Final = 24 * 3600.0
_SHARE_OF_LIFE: Final = 0.8
_SPREAD: Final = 0.05
_TIMEOUT_S: Final = 5.0


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A token, and until when it is good on the monotonic clock. Its text is printed nowhere."""

    text: str
    renew_at_s: float
    ends_at_s: float

    def __repr__(self) -> str:
        return "Held(...)"


class _Status(msgspec.Struct, frozen=True, kw_only=True):
    token: str


class _Granted(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    expiration_seconds: float


class _TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    spec: _Granted
    status: _Status


_DECODER: Final = msgspec.json.Decoder(_TokenRequest)


class Tokens:
    """The tokens of every pod, by pod."""

    def __init__(self, api: Api, retry_s: float) -> None:
        self._api = api
        self._retry_s = retry_s
        self._held: dict[Hashable, dict[TokenKey, Held]] = {}

    async def token(self, user: Hashable, pod: Pod, key: TokenKey) -> tuple[str | Lack, float]:
        """A token that is good, or why there is none; and when to ask again."""
        held = self._held.setdefault(user, {})
        known, now_s = held.get(key), time.monotonic()
        if known is not None and now_s < known.renew_at_s:
            return known.text, known.renew_at_s
        again_s = now_s + self._retry_s
        try:
            fresh = await self._ask(pod, key)
        except (ApiError, msgspec.DecodeError) as error:
            # An answer that does not decode holds a token all the same.
            reason = error.message if isinstance(error, ApiError) else "the answer cannot be read"
            account = f"{pod.metadata.namespace}/{pod.spec.service_account_name}"
            log.warning("token.failed", account=account, pod=pod.metadata.name, reason=reason)
            if known is None or known.ends_at_s <= now_s:
                return Lack(problem=f"failed to fetch token: {reason}"), again_s
            return known.text, again_s
        held[key] = fresh
        return fresh.text, fresh.renew_at_s

    def release(self, user: Hashable) -> None:
        """A pod is no more."""
        self._held.pop(user, None)

    async def _ask(self, pod: Pod, key: TokenKey) -> Held:
        metadata = pod.metadata
        account = pod.spec.service_account_name or "default"
        path = f"/api/v1/namespaces/{metadata.namespace}/serviceaccounts/{account}/token"
        asked_at_s = time.monotonic()
        answer = await self._api.request(
            "POST", path, body=msgspec.json.encode(_request(pod, key)), timeout_s=_TIMEOUT_S
        )
        granted = _DECODER.decode(answer.body)
        life_s = granted.spec.expiration_seconds
        return Held(
            text=granted.status.token,
            renew_at_s=asked_at_s + use_s(life_s, random.random()),  # noqa: S311 - no secret
            ends_at_s=asked_at_s + life_s,
        )


def use_s(life_s: float, draw: float) -> float:
    """How long a token is used: four fifths of its life, at most a day, as a kubelet does.

    A little less by the draw from 0 to 1, so that the tokens of many pods are not due at once.
    """
    return min(life_s * _SHARE_OF_LIFE, LONGEST_USE_S) * (1 - _SPREAD * draw)


def _request(pod: Pod, key: TokenKey) -> dict[str, Any]:
    bound = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": pod.metadata.name,
        "uid": pod.metadata.uid,
    }
    spec = {
        "audiences": [key.audience] if key.audience else [],
        "expirationSeconds": key.lifetime_s,
        "boundObjectRef": bound,
    }
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
