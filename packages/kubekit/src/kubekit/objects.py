"""The few things that list, watch, GET and Events need to know of any object: names, UID, version.

Views are for reading; nothing here is ever written back to the API server.
"""

from typing import Final, NewType
from urllib.parse import quote

import msgspec

ObjectUid = NewType("ObjectUid", str)


class ObjectMeta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """metadata, as far as identity goes."""

    uid: ObjectUid
    name: str
    namespace: str = ""
    resource_version: str = ""


class Identified(msgspec.Struct, frozen=True):
    """Any object, seen only by its metadata."""

    metadata: ObjectMeta


class ListMeta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The metadata of a list: where to watch from, and where the next page starts."""

    resource_version: str
    continue_: str = msgspec.field(default="", name="continue")


class ObjectList(msgspec.Struct, frozen=True):
    """One page of a list. Items stay bytes: a bad one must not spoil the page."""

    metadata: ListMeta
    items: tuple[msgspec.Raw, ...] | None = None


class WatchEvent(msgspec.Struct, frozen=True):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str


class _Versioned(msgspec.Struct, frozen=True):
    metadata: _Version


_META: Final = msgspec.json.Decoder(Identified)
_VERSION: Final = msgspec.json.Decoder(_Versioned)


def meta_of(raw: bytes | msgspec.Raw) -> ObjectMeta:
    """The identity of any object; raises msgspec.DecodeError when it has none."""
    return _META.decode(raw).metadata


def version_of(raw: bytes | msgspec.Raw) -> str:
    """The version in a bookmark, an object that has nothing else."""
    return _VERSION.decode(raw).metadata.resource_version


def object_path(collection: str, namespace: str, name: str) -> str:
    """The path of one object of a collection, be that one of all namespaces, of one, or of none.

    `/api/v1/pods` and (ns, name) give `/api/v1/namespaces/ns/pods/name`. Whoever gave the name, it
    leads to nothing else of the API.
    """
    namespace, name = quote(namespace, safe=""), quote(name, safe="")
    if not namespace or "/namespaces/" in collection:
        return f"{collection}/{name}"
    prefix, _, plural = collection.rpartition("/")
    return f"{prefix}/namespaces/{namespace}/{plural}/{name}"
