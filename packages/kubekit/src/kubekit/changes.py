"""What a reflector tells its consumer, one change at a time and in order for each object."""

import msgspec

from kubekit.objects import ObjectUid


class Added[T](msgspec.Struct, frozen=True, kw_only=True):
    """An object that the store did not hold."""

    uid: ObjectUid
    object: T


class Modified[T](msgspec.Struct, frozen=True, kw_only=True):
    """An object of the store in a newer version."""

    uid: ObjectUid
    object: T
    previous: T


class Deleted[T](msgspec.Struct, frozen=True, kw_only=True):
    """An object that is gone for certain: the watch said so, or a GET by name confirmed it."""

    uid: ObjectUid
    object: T


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """A whole list has been delivered; `first` the first time since the start."""

    first: bool


type Change[T] = Added[T] | Modified[T] | Deleted[T] | Synced
