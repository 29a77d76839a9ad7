"""What Linux offers to a parent of processes and Python does not: a few prctl calls.

Shared by keeper, zygote and container process, so it imports nothing but ctypes.
"""

import ctypes
import os
import signal
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_NAME: Final = 15
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_THP_DISABLE: Final = 41

_prctl = ctypes.CDLL(None, use_errno=True).prctl


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
    _prctl(PR_SET_NAME, ctypes.c_char_p(name.encode()), 0, 0, 0)


def disable_huge_pages() -> None:
    """Keep a guest that touches one byte from holding 2 MiB; inherited over forks."""
    _control(PR_SET_THP_DISABLE, 1)


def _control(option: int, value: int) -> None:
    if _prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")
