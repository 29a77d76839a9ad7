"""PersistentVolumeClaims of pods, followed to the folder of the node that they are bound to."""

import time
from collections.abc import Hashable
from typing import Any, Final

import msgspec

from kubekit.client import Api
from kubekit.errors import ApiError
from kubekit.objects import object_path
from pod_reconciler.domain.claim import Claim, claim_decoder, volume_of
from pod_reconciler.domain.material import HostVolume, Lack

_VOLUMES: Final = "/api/v1/persistentvolumes"
_TIMEOUT_S: Final = 5.0
_FOR_EVER: Final = float("inf")


class _Volume(msgspec.Struct, frozen=True, kw_only=True):
    spec: dict[str, Any]


_VOLUME: Final = msgspec.json.Decoder(_Volume)


class Claims:
    """What a pod's claim is bound to stays as long as the pod: a binding never changes."""

    def __init__(self, api: Api, retry_s: float) -> None:
        self._api = api
        self._retry_s = retry_s
        self._bound: dict[Hashable, dict[str, HostVolume]] = {}

    async def volume(
        self, user: Hashable, namespace: str, name: str
    ) -> tuple[HostVolume | Lack, float]:
        """The folder, or why there is none; and when to ask again."""
        bound = self._bound.setdefault(user, {})
        if name in bound:
            return bound[name], _FOR_EVER
        found = await self._follow(namespace, name)
        if isinstance(found, HostVolume):
            bound[name] = found
            return found, _FOR_EVER
        problem = f"error processing PVC {namespace}/{name}: {found.problem}"
        return Lack(problem=problem), time.monotonic() + self._retry_s

    def release(self, user: Hashable) -> None:
        """A pod is no more."""
        self._bound.pop(user, None)

    async def _follow(self, namespace: str, name: str) -> HostVolume | Lack:
        path = object_path("/api/v1/persistentvolumeclaims", namespace, name)
        try:
            claim = claim_decoder.decode(await self._get(path))
        except (ApiError, msgspec.DecodeError) as error:
            return Lack(problem=f"failed to fetch PVC from API server: {_told(error)}")
        if claim.problem:
            return Lack(problem=claim.problem)
        return await self._volume_of(claim)

    async def _volume_of(self, claim: Claim) -> HostVolume | Lack:
        name = claim.spec.volume_name
        try:
            spec = _VOLUME.decode(await self._get(object_path(_VOLUMES, "", name))).spec
            return volume_of(claim, name, spec)
        except (ApiError, msgspec.DecodeError) as error:
            return Lack(problem=f"failed to fetch PV {name} from API server: {_told(error)}")

    async def _get(self, path: str) -> bytes:
        return (await self._api.request("GET", path, timeout_s=_TIMEOUT_S)).body


def _told(error: Exception) -> str:
    return error.message if isinstance(error, ApiError) else str(error)
