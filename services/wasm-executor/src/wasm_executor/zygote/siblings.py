"""Forks whose parent is the caller's own parent.

`os.fork` would make a spare the zygote's child; to make it the keeper's, a process between had to
fork it and end. Besides, Python looks after locks and threads before and after each of its forks:
the zygote has one thread, so nothing is held that would have to be freed, and every page that is
written then is copied, for each container anew.
"""

import ctypes
import os
import platform
from typing import Final

_CLONE: Final[dict[str, int]] = {"x86_64": 56, "aarch64": 220}
_CLONE_PARENT: Final = 0x0000_8000
_CLONE_CHILD_SETTID: Final = 0x0100_0000
_CLONE_CHILD_CLEARTID: Final = 0x0020_0000
_PR_GET_TID_ADDRESS: Final = 40

# `PyDLL` keeps the interpreter's lock, which the fork then has as well.
_libc: Final = ctypes.PyDLL(None, use_errno=True)
_clone: Final = _libc["syscall"]
_clone.argtypes = (ctypes.c_long, ctypes.c_ulong, *[ctypes.c_void_p] * 4)
_clone.restype = ctypes.c_long
_prctl: Final = _libc["prctl"]
_prctl.argtypes = (ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), *[ctypes.c_ulong] * 3)


class Forking:
    """Made once, before the first fork."""

    def __init__(self) -> None:
        self._number = _CLONE[platform.machine()]
        thread_id = _thread_id_address()
        self._flags = _CLONE_PARENT
        if thread_id is not None:
            self._flags |= _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID
        # The fourth is the thread's local storage on one machine and the fifth on the other: only
        # a flag that is not set makes the kernel look there.
        self._pointers = (None, None, thread_id, thread_id)

    def sibling(self) -> int:
        """Return its pid, and 0 in it; raise OSError at a limit of processes."""
        pid = int(_clone(self._number, self._flags, *self._pointers))
        if pid < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return pid


def _thread_id_address() -> int | None:
    """Return where the C library keeps its thread's number, which is another one in a fork."""
    address = ctypes.c_void_p()
    known = _prctl(_PR_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0) == 0
    return address.value if known else None
