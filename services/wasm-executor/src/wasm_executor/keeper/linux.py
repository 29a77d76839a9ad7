"""What Linux offers to a parent of processes and Python does not: a few prctl calls.

Shared by keeper, zygote and container process, so it imports nothing but ctypes.
"""

import ctypes
import errno
import os
import signal
import struct
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_NAME: Final = 15
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_THP_DISABLE: Final = 41
PR_SET_SECCOMP: Final = 22
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_SECUREBITS: Final = 28
PR_CAP_AMBIENT: Final = 47

CAP_SYS_ADMIN: Final = 21
_SECCOMP_MODE_FILTER: Final = 2
_INSTRUCTION_BYTES: Final = 8
_AMBIENT_CLEAR_ALL: Final = 4
_NEVER_AGAIN: Final = 0xEF
"""Securebits: uid 0 means nothing, and nothing of that or of ambient capabilities can change."""
_CAPABILITIES: Final = struct.pack("=Ii", 0x2008_0522, 0)
"""`struct __user_cap_header_struct`: the third version, this thread."""

_libc = ctypes.CDLL(None, use_errno=True)
_prctl = _libc["prctl"]
_prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
_set_name = _libc["prctl"]
_set_name.argtypes = (ctypes.c_int, ctypes.c_char_p, *[ctypes.c_ulong] * 3)
_set_filter = _libc["prctl"]
_set_filter.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_char_p, *[ctypes.c_ulong] * 2)


def become_subreaper() -> None:
    """Orphans below this process become its children instead of init's."""
    _control(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Get SIGKILL when the parent ends; set it only once the parent is the final one."""
    _control(PR_SET_PDEATHSIG, signal.SIGKILL)


def renounce_privileges() -> None:
    """No exec from here on gains anything, and nobody without rights reads this memory."""
    _control(PR_SET_NO_NEW_PRIVS, 1)
    _control(PR_SET_DUMPABLE, 0)


def name_process(name: str) -> None:
    """Set what ps and top show; at most 15 bytes of it."""
    _set_name(PR_SET_NAME, name.encode(), 0, 0, 0)


def disable_huge_pages() -> None:
    """Keep a guest that touches one byte from holding 2 MiB; inherited over forks."""
    _control(PR_SET_THP_DISABLE, 1)


def drop_capabilities(*, but: int | None = None) -> None:
    """Have no capability but one, if any, and no way to another: also where this is root.

    Who may not change the bounding set has no capability that an exec could bring back either,
    as long as no-new-privileges holds.
    """
    capability = 0
    while _prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0:
        _control_if_permitted(PR_CAPBSET_DROP, capability)
        capability += 1
    _control_if_permitted(PR_SET_SECUREBITS, _NEVER_AGAIN)
    _control(PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    hold_capabilities(0 if but is None else 1 << but)


def hold_capabilities(kept: int) -> None:
    """Give up what is not in a set of those with the numbers below 32."""
    wanted = struct.pack("=6I", kept, kept, 0, 0, 0, 0)
    if _libc.capset(_CAPABILITIES, wanted) != 0:
        raise _failure("capset")


def has_seccomp() -> bool:
    """Whether this kernel filters system calls: it then misses the filter, which is not there."""
    _set_filter(PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, None, 0, 0)
    return ctypes.get_errno() == errno.EFAULT


class CallFilter:
    """A seccomp program in memory that a fork shares; only what differs is written after it."""

    def __init__(self, program: bytes) -> None:
        self._code = ctypes.create_string_buffer(program, len(program))
        count = len(program) // _INSTRUCTION_BYTES
        self._described = struct.pack("@HP", count, ctypes.addressof(self._code))

    def put(self, offset: int, content: bytes) -> None:
        ctypes.memmove(ctypes.addressof(self._code) + offset, content, len(content))

    def install(self) -> None:
        """Hold this thread to it, and all that it starts; it needs no-new-privileges."""
        if _set_filter(PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, self._described, 0, 0) != 0:
            raise _failure("seccomp")


def _control_if_permitted(option: int, value: int) -> None:
    if _prctl(option, value, 0, 0, 0) != 0 and ctypes.get_errno() != errno.EPERM:
        raise _failure(f"prctl({option})")


def _control(option: int, value: int) -> None:
    if _prctl(option, value, 0, 0, 0) != 0:
        raise _failure(f"prctl({option})")


def _failure(what: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, f"{what}: {os.strerror(code)}")
