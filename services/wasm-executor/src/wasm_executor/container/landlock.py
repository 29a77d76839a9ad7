"""The second wall around a guest's folders: Landlock, which the kernel holds for this process.

wasmtime checks every path a guest names. Should it fail once, this process itself can read and
write only what is named here: no other pod's secrets, nothing of the executor's. A folder that is
read-only stays so against writing, truncation, hard links and renames.
"""

import ctypes
import os
import stat
from collections.abc import Iterable
from contextlib import ExitStack
from enum import IntFlag
from typing import Final

from wasm_executor.container.beneath import open_beneath, openable
from wasm_executor.container.plan import Preopen
from wasm_executor.keeper.linux import renounce_privileges

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
"""The numbers that new system calls have are the same on all architectures."""
_GET_VERSION: Final = 1
_PATH_BENEATH: Final = 1
LEAST_ABI: Final = 3
"""From Linux 6.2 on. Before, truncation was free, and at first renames between folders were not."""


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


_ALL: Final = ~Right(0)
_READ: Final = Right.READ_FILE | Right.READ_DIR
_CHANGE: Final = (
    Right.WRITE_FILE
    | Right.TRUNCATE
    | Right.REMOVE_DIR
    | Right.REMOVE_FILE
    | Right.MAKE_DIR
    | Right.MAKE_REG
    | Right.MAKE_SYM
    | Right.REFER
)
_OF_FILES: Final = Right.EXECUTE | Right.WRITE_FILE | Right.READ_FILE | Right.TRUNCATE


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def landlock_abi() -> int:
    """Return the version that this kernel has; 0 where there is none, or it is switched off."""
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_GET_VERSION))
    except OSError:
        return 0


def restrict(read_only_paths: Iterable[str], read_write_paths: Iterable[str]) -> bool:
    """Leave this thread, and what it starts from now on, these folders and files alone.

    For good, and also what is opened later; what is open already stays as it is. Symlinks in the
    paths are followed: what a guest can change is named by `openable`. Return False where the
    kernel cannot: then nothing is restricted. A path that is not there raises OSError.
    """
    if landlock_abi() < LEAST_ABI:
        return False
    renounce_privileges()  # the kernel asks for no-new-privileges
    attributes = _Ruleset(int(_ALL))
    ruleset = _call(
        _CREATE_RULESET,
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
        ctypes.c_uint32(0),
    )
    try:
        for path in read_only_paths:
            _allow(ruleset, path, _READ)
        for path in read_write_paths:
            _allow(ruleset, path, _READ | _CHANGE)
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return True


def restrict_to(preopens: Iterable[Preopen], also_read: Iterable[str] = ()) -> bool:
    """Leave this process the folders that its guest sees; see `restrict`.

    A preopen's changeable part is opened once more by the runtime, and may be another folder of
    the same volume by then: one that is not allowed, so that its guest sees less, never more.
    """
    with ExitStack() as opened:
        paths: dict[bool, list[str]] = {True: list(also_read), False: []}
        for each in preopens:
            descriptor = open_beneath(each.host_path, each.beneath)
            opened.callback(os.close, descriptor)
            paths[each.read_only].append(openable(descriptor))
        return restrict(paths[True], paths[False])


def _allow(ruleset: int, path: str, rights: Right) -> None:
    target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(target).st_mode):
            rights &= _OF_FILES
        rule = _PathRule(int(rights), target)
        _call(
            _ADD_RULE,
            ctypes.c_int(ruleset),
            ctypes.c_int(_PATH_BENEATH),
            ctypes.byref(rule),
            ctypes.c_uint32(0),
        )
    finally:
        os.close(target)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return result
