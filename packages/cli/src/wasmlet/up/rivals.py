"""Whether a node's name belongs to another executor, which lives.

A holder that a Node still names may be gone: an earlier run of our own, one that gave the name
back, one whose Lease runs out and leaves the name to us. Time tells nothing on a busy machine. What
does is a Lease that somebody renews while we look: that is done for a living holder alone.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from contract.ids import NodeName
from kubekit.client import Api
from kubekit.errors import ApiError
from wasmlet.installation import INCARNATION

RELEASED: Final = "wasmlet.dev/released"
_LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class _LeaseSpec(msgspec.Struct):
    renewed: str = msgspec.field(name="renewTime", default="")


class _Lease(msgspec.Struct):
    spec: _LeaseSpec


class Rivals:
    """Other executors that hold names of ours."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._renewed: dict[NodeName, str] = {}
        self._alive: set[NodeName] = set()
        self._said: set[NodeName] = set()

    async def appears(
        self, node: NodeName, annotations: Mapping[str, str], own_id: str | None
    ) -> bool:
        """Say, once for each name, that another executor holds it and lives."""
        if node in self._said or not is_held_by_other(annotations, own_id):
            return False
        if node in self._alive:  # the Node still shows it after the renewal: that was not for us
            self._said.add(node)
            return True
        renewed = await self._renewed_at(node)
        if renewed is not None and renewed != self._renewed.setdefault(node, renewed):
            self._alive.add(node)
        return False

    async def _renewed_at(self, node: NodeName) -> str | None:
        try:
            answer = await self._api.request("GET", f"{_LEASES}/{node}")
        except ApiError:
            return None
        return msgspec.json.decode(answer.body, type=_Lease).spec.renewed


def is_held_by_other(annotations: Mapping[str, str], own_id: str | None) -> bool:
    """Say whether a Node names a holder that is neither we, in whatever life, nor has gone."""
    holder = annotations.get(INCARNATION, "")
    if not holder or own_id is None or annotations.get(RELEASED) == holder:
        return False
    return holder.rpartition("/")[0] != own_id
