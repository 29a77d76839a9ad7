"""Mounts by descriptors (Linux 5.12 or newer): no path is looked up twice, or by two owners.

A mount is made where nobody sees it, given what may be done with it, and only then hung up.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntFlag
from typing import Final

_OPEN_TREE: Final = 428
_MOVE_MOUNT: Final = 429
_FSOPEN: Final = 430
_FSCONFIG: Final = 431
_FSMOUNT: Final = 432
_MOUNT_SETATTR: Final = 442
"""The numbers that new system calls have are the same on all architectures."""
_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41}
_HERE: Final = -100
_EMPTY_PATH: Final = 0x1000
_WHOLE_TREE: Final = 0x8000
_CLONE: Final = 0x1 | 0x80000
"""OPEN_TREE_CLONE and OPEN_TREE_CLOEXEC."""
_FROM_DESCRIPTOR: Final = 0x4
_CLOEXEC: Final = 0x1
_SET_STRING: Final = 1
_CREATE: Final = 6
_PRIVATE: Final = 1 << 18
_DETACH: Final = 2
_ATTRIBUTES: Final = struct.Struct("=QQQQ")
"""`struct mount_attr`: to set, to clear, propagation, user namespace."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


class MountAttribute(IntFlag):
    """What cannot be done through a mount (`MOUNT_ATTR_*`)."""

    READ_ONLY = 0x1
    NO_SUID = 0x2
    NO_DEVICES = 0x4
    NO_PROGRAMS = 0x8


def leave_mounts_of_others() -> None:
    """Have a mount namespace of this process's own, in which changes are nobody else's."""
    os.unshare(os.CLONE_NEWNS)
    whole = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        _set_attributes(whole, MountAttribute(0), _EMPTY_PATH | _WHOLE_TREE, _PRIVATE)
    finally:
        os.close(whole)


@contextmanager
def new_file_system(kind: str, options: Mapping[str, str]) -> Iterator[int]:
    """Make one that hangs nowhere yet; give its root."""
    context = _called(_FSOPEN, kind.encode(), _CLOEXEC)
    try:
        for name, value in options.items():
            _called(_FSCONFIG, context, _SET_STRING, name.encode(), value.encode(), 0)
        _called(_FSCONFIG, context, _CREATE, None, None, 0)
        harmless = MountAttribute.NO_SUID | MountAttribute.NO_DEVICES | MountAttribute.NO_PROGRAMS
        root = _called(_FSMOUNT, context, _CLOEXEC, int(harmless))
    finally:
        os.close(context)
    try:
        yield root
    finally:
        os.close(root)


def hang_up(mount: int, path: str, root: int = _HERE) -> None:
    """Show a new mount at a path."""
    _called(_MOVE_MOUNT, mount, b"", root, path.encode(), _FROM_DESCRIPTOR)


def bind(source: int, path: str, root: int, attributes: MountAttribute) -> None:
    """Show what a descriptor is of at a path, with all that is mounted in it."""
    tree = _called(_OPEN_TREE, source, b"", _CLONE | _EMPTY_PATH | _WHOLE_TREE)
    try:
        _set_attributes(tree, attributes, _EMPTY_PATH | _WHOLE_TREE)
        hang_up(tree, path, root)
    finally:
        os.close(tree)


def make_read_only(mount: int) -> None:
    """Make this one so, and nothing that is mounted in it."""
    _set_attributes(mount, MountAttribute.READ_ONLY, _EMPTY_PATH)


def become_root(mount: int) -> None:
    """Have a mount that hangs somewhere as `/`, and lose what was there."""
    os.chdir(mount)
    number = _PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    _called(number, b".", b".")
    if _libc.umount2(b".", _DETACH) != 0:
        raise _failure()
    os.chdir("/")


def _set_attributes(
    mount: int, attributes: MountAttribute, flags: int, propagation: int = 0
) -> None:
    asked = _ATTRIBUTES.pack(int(attributes), 0, propagation, 0)
    _called(_MOUNT_SETATTR, mount, b"", flags, asked, len(asked))


def _called(number: int, *arguments: int | bytes | None) -> int:
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *given)
    if result < 0:
        raise _failure()
    return result


def _failure() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
