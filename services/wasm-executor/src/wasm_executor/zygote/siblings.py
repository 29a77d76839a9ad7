"""Forks whose parent is the caller's own parent.

`os.fork` would make a spare the zygote's child; to make it the keeper's, a process between has to
fork it and end. Besides, Python looks after locks and threads before and after each of its forks:
the zygote has one thread, so nothing is held that would have to be freed, and every page that is
written then is copied, for each container anew. No fork handler runs, Python's or the C library's;
what one would have done for `random` is done here.
"""

import ctypes
import errno
import os
import platform
import sys
import threading
from typing import Final

_CLONE: Final[dict[str, int]] = {"x86_64": 56, "aarch64": 220}
_CLONE_PARENT: Final = 0x0000_8000
_CLONE_CHILD_SETTID: Final = 0x0100_0000
_CLONE_CHILD_CLEARTID: Final = 0x0020_0000
_FLAGS: Final = _CLONE_PARENT | _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID
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
        self._number = _CLONE.get(platform.machine())
        self._thread_id = thread_id_address()

    def sibling(self) -> int:
        """Return a pid, and 0 in the sibling; raise OSError at a limit of processes."""
        if self._number is None or self._thread_id is None:
            return by_a_process_between()
        # The fourth is the thread's local storage on one machine and the fifth on the other: only
        # a flag that is not set makes the kernel look there.
        pointers = (None, None, self._thread_id, self._thread_id)
        pid = int(_clone(self._number, _FLAGS, *pointers))
        if pid < 0:
            raise _failure(ctypes.get_errno())
        if pid == 0 and (random := sys.modules.get("random")) is not None:
            random.seed()
        return pid


def thread_id_address() -> int | None:
    """Return where the C library keeps its thread's number, which is another one in a fork.

    None where that is not known: musl names a lock instead.
    """
    address = ctypes.c_void_p()
    if _prctl(_PR_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0) != 0 or not address.value:
        return None
    held = ctypes.c_int.from_address(address.value).value
    return address.value if held == threading.get_native_id() else None


def by_a_process_between() -> int:
    """Fork twice, by Python's own way: the second is the parent's when the first has ended."""
    barrier, release = (os.fdopen(each, mode) for each, mode in zip(os.pipe(), "rw", strict=True))
    with barrier, release:
        if (between := os.fork()) > 0:
            if os.waitpid(between, 0)[1] != 0:
                raise _failure(errno.EAGAIN)
            return between
        _be_the_first()
        release.close()
        barrier.read()  # until whoever asked has seen the first one end
        return 0


def _be_the_first() -> None:
    """Return in the second fork alone."""
    try:
        second = os.fork()
    except OSError:
        os._exit(1)
    if second > 0:
        os._exit(0)


def _failure(code: int) -> OSError:
    return OSError(code, os.strerror(code))
