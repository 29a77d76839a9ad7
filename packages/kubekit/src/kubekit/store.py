"""What a reflector knows: the newest version of each object, by UID. Pure.

Names are reused, UIDs are not, so identity is the UID; the index by name only finds the older
object whose name a new one bears.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from kubekit.changes import Added, Change, Deleted, Modified
from kubekit.objects import ObjectMeta, ObjectUid


class Store[T]:
    """Takes versions in, gives changes out; the same version twice is no change."""

    def __init__(self) -> None:
        self._objects: dict[ObjectUid, T] = {}
        self._metas: dict[ObjectUid, ObjectMeta] = {}
        self._uids: dict[tuple[str, str], ObjectUid] = {}
        self.objects: Final[Mapping[ObjectUid, T]] = MappingProxyType(self._objects)

    def has(self, meta: ObjectMeta) -> bool:
        """Whether exactly this version is known already."""
        known = self._metas.get(meta.uid)
        return known is not None and known.resource_version == meta.resource_version

    def put(self, meta: ObjectMeta, value: T) -> Change[T]:
        """Keep this version and say what it changed."""
        previous = self._metas.get(meta.uid)
        before = self._objects.get(meta.uid)
        self._metas[meta.uid] = meta
        self._objects[meta.uid] = value
        self._uids[(meta.namespace, meta.name)] = meta.uid
        if previous is None or before is None:
            return Added(uid=meta.uid, object=value)
        return Modified(uid=meta.uid, object=value, previous=before)

    def remove(self, uid: ObjectUid) -> Deleted[T] | None:
        """Forget an object; None if it was not known."""
        meta = self._metas.pop(uid, None)
        if meta is None:
            return None
        name = (meta.namespace, meta.name)
        if self._uids.get(name) == uid:
            del self._uids[name]
        return Deleted(uid=uid, object=self._objects.pop(uid))

    def rival_of(self, meta: ObjectMeta) -> ObjectMeta | None:
        """The known object of the same name and another UID."""
        uid = self._uids.get((meta.namespace, meta.name))
        return None if uid is None or uid == meta.uid else self._metas[uid]

    def missing_from(self, listed: Collection[ObjectUid]) -> list[ObjectMeta]:
        """The known objects that a whole list did not show."""
        return [meta for uid, meta in self._metas.items() if uid not in listed]

    def meta(self, uid: ObjectUid) -> ObjectMeta | None:
        """The identity of a known object."""
        return self._metas.get(uid)
