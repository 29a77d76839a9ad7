"""What the API holds for one pod: the ConfigMaps and Secrets that it names, and its Services.

Read by an edge and given to planning whole, so that a plan depends on nothing but its arguments.
Secrets lie in here: nothing of this prints its content.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

UNREAD: Final = "failed to sync {kind} cache: timed out waiting for the condition"
"""What a kubelet says while the API server gives no answer."""


class Kind(StrEnum):
    """The kinds of objects that hold values, as the kubelet's messages name them."""

    CONFIG_MAP = "configmap"
    SECRET = "secret"  # noqa: S105 - a kind of object


class ObjectKey(NamedTuple):
    """An object in the namespace of the pod that names it."""

    kind: Kind
    name: str


class TokenKey(NamedTuple):
    """Which token of a pod's service account: for whom, and for how long."""

    audience: str
    lifetime_s: int


class HostVolume(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim is bound to: a folder of the node."""

    path: str
    path_type: str = ""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What an object holds. Variables are made of `data` alone, files of both."""

    data: Mapping[str, bytes] = {}
    binary: Mapping[str, bytes] = {}
    is_immutable: bool = False
    """As long as somebody uses it, it is what it is."""
    type: str = ""
    """Of a Secret: what its keys mean."""
    uid: str = ""

    def __repr__(self) -> str:
        return f"Content({len(self.data) + len(self.binary)} keys)"


class Lack(msgspec.Struct, frozen=True, kw_only=True):
    """Why an object's content is not to be had, in the words of a pod's status."""

    problem: str
    is_absent: bool = False
    """The API server says that there is none: what is optional does without it."""


class Material(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """See the module. Compared by identity: what is read anew and found equal is not made anew."""

    objects: Mapping[ObjectKey, Content | Lack] = {}
    tokens: Mapping[TokenKey, str | Lack] = {}
    claims: Mapping[str, HostVolume | Lack] = {}
    handler: str | Lack = ""
    """What its RuntimeClass stands for; empty where the image decides."""
    services: Mapping[str, str] | None = {}
    """The variables of Services; None while they have not been read even once."""

    def __repr__(self) -> str:
        return f"Material({len(self.objects)} objects)"

    def find(self, kind: Kind, name: str) -> Content | Lack:
        """The object of this name."""
        unread = Lack(problem=UNREAD.format(kind=kind.value))
        return self.objects.get(ObjectKey(kind, name), unread)

    def equals(self, other: "Material | None") -> bool:
        """Whether a plan made of the one is a plan made of the other."""
        return other is not None and _parts(self) == _parts(other)


def _parts(material: Material) -> tuple[object, ...]:
    fields = material.objects, material.tokens, material.claims
    return *fields, material.handler, material.services


NO_MATERIAL: Final = Material()
"""For a pod that needs none, as one from a folder where there is no API server."""
