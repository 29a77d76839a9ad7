"""The second wall around a guest's folders: Landlock, which the kernel holds for this process.

wasmtime checks every path a guest names. Should it fail once, this process itself can read and
write only what is named here: no other pod's secrets, nothing of the executor's. A folder that is
read-only stays so against writing, truncation, hard links and renames.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from enum import IntFlag
from functools import cache
from typing import Final

from wasm_executor.keeper.linux import renounce_privileges

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
"""The numbers that new system calls have are the same on all architectures."""
_GET_VERSION: Final = 1
_PATH_BENEATH: Final = 1
LEAST_ABI: Final = 3
"""From Linux 6.2 on. Before, truncation was free, and at first renames between folders were not."""
_ABI_WITH_TCP: Final = 4
_ABI_WITH_IOCTL: Final = 5
_ABI_WITH_SCOPES: Final = 6
"""What later kernels hold as well: Linux 6.7, 6.10 and 6.12."""


class Right(IntFlag):
    """What may be done to files (`LANDLOCK_ACCESS_FS_*`)."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


class Scope(IntFlag):
    """What reaches nobody outside (`LANDLOCK_SCOPE_*`)."""

    ABSTRACT_UNIX_SOCKET = 1 << 0
    SIGNAL = 1 << 1


# Plain numbers: on the way of every start an enum's own arithmetic costs more than the kernel.
BIND: Final = 1 << 0
CONNECT: Final = 1 << 1
"""What may be done to TCP ports (`LANDLOCK_ACCESS_NET_*`)."""
_ALL_TCP: Final = BIND | CONNECT
_ALL: Final = int(~Right(0))
_ALL_BEFORE_IOCTL: Final = int(~Right.IOCTL_DEV)
_SCOPES: Final = int(~Scope(0))
_READ: Final = int(Right.READ_FILE | Right.READ_DIR)
_RUN: Final = int(Right.READ_FILE | Right.EXECUTE)
_READ_AND_CHANGE: Final = _READ | int(
    Right.WRITE_FILE
    | Right.TRUNCATE
    | Right.REMOVE_DIR
    | Right.REMOVE_FILE
    | Right.MAKE_DIR
    | Right.MAKE_REG
    | Right.MAKE_SYM
    | Right.REFER
)
_OF_FILES: Final = int(Right.EXECUTE | Right.WRITE_FILE | Right.READ_FILE | Right.TRUNCATE)

_RULESET: Final = struct.Struct("=QQQ")
"""`struct landlock_ruleset_attr`: what is ruled at all, of files, ports and others' processes. An
older kernel takes a longer one than its own where the rest is zero."""
_RULE: Final = struct.Struct("=Qi")
"""`struct landlock_path_beneath_attr`: the rights, and a descriptor of where they hold."""

_libc: Final = ctypes.CDLL(None, use_errno=True)
_create_ruleset: Final = _libc["syscall"]
_create_ruleset.argtypes = (ctypes.c_long, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32)
_add_rule: Final = _libc["syscall"]
_add_rule.argtypes = (
    ctypes.c_long,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint32,
)
_restrict_self: Final = _libc["syscall"]
_restrict_self.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_uint32)


@cache
def landlock_abi() -> int:
    """Return the version that this kernel has; 0 where there is none, or it is switched off."""
    return max(0, int(_create_ruleset(_CREATE_RULESET, None, 0, _GET_VERSION)))


def restrict(
    read_only_paths: Iterable[str],
    read_write_paths: Iterable[str],
    run_paths: Iterable[str] = (),
    *,
    tcp: int = 0,
) -> bool:
    """Leave this thread, and what it starts from now on, these folders and files alone.

    With the kernels that can it also loses the TCP rights that are not named, and signals only its
    own. For good, and also what is opened later; what is open already stays as it is. Symlinks in
    the paths are followed: what a guest can change is named by `openable`. Return False where the
    kernel cannot: then nothing is restricted. A path that is not there raises OSError.
    """
    if landlock_abi() < LEAST_ABI:
        return False
    renounce_privileges()  # the kernel asks for no-new-privileges
    ruleset = _checked(_create_ruleset(_CREATE_RULESET, _ruled(tcp), _RULESET.size, 0))
    try:
        for path in read_only_paths:
            _allow(ruleset, path, _READ)
        for path in run_paths:
            _allow(ruleset, path, _RUN)
        for path in read_write_paths:
            _allow(ruleset, path, _READ_AND_CHANGE)
        _checked(_restrict_self(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def _ruled(tcp: int) -> bytes:
    abi = landlock_abi()
    return _RULESET.pack(
        _ALL if abi >= _ABI_WITH_IOCTL else _ALL_BEFORE_IOCTL,
        _ALL_TCP & ~tcp if abi >= _ABI_WITH_TCP else 0,
        _SCOPES if abi >= _ABI_WITH_SCOPES else 0,
    )


def _allow(ruleset: int, path: str, rights: int) -> None:
    target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(target).st_mode):
            rights &= _OF_FILES
        rule = _RULE.pack(rights, target)
        _checked(_add_rule(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
    finally:
        os.close(target)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return result
