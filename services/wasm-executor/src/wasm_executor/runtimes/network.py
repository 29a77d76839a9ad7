"""Sockets for a guest (`wasi:sockets`). It is all or nothing: bind, listen, connect, names.

wasmtime's Python binding has no method for it, so this is the one module that calls its C API.
Since wasmtime 48 that does not suffice: TCP and UDP are off unless allowed, the Rust builder's
`allow_tcp` and `allow_udp` have no C function, and `wasi_config_inherit_network` only lifts the
limits on addresses. The three permissions lie side by side in the builder: names, UDP, TCP. The
call that allows names shows where; the two flags beside it are set by hand, if everything there
looks as in the version that this was tried with, and the guest does not start if not.
"""

import ctypes
from typing import Final

from wasmtime import WasiConfig
from wasmtime import _ffi as wasmtime_c

from wasm_executor.container.plan import StartFailureReason
from wasm_executor.runtimes.errors import GuestNotStartedError

TRIED_VERSION: Final = "50.0.1"
"""A test compares it with what is pinned."""
_UDP_AND_TCP: Final = 2
_libc: Final = ctypes.CDLL(None)
_libc.malloc_usable_size.restype = ctypes.c_size_t
_libc.malloc_usable_size.argtypes = [ctypes.c_void_p]


def allow_network(wasi: WasiConfig) -> None:
    """Give the guest this process's network; without it no socket is made."""
    wasmtime_c.wasi_config_inherit_network(wasi.ptr())
    address = ctypes.cast(wasi.ptr(), ctypes.c_void_p).value
    assert address is not None
    size = _libc.malloc_usable_size(address)
    wasmtime_c.wasi_config_allow_ip_name_lookup(wasi.ptr(), False)
    before = ctypes.string_at(address, size)
    wasmtime_c.wasi_config_allow_ip_name_lookup(wasi.ptr(), True)
    flags = _flags_beside(before, ctypes.string_at(address, size))
    if flags is None:
        message = "this version of wasmtime gives a guest no network"
        raise GuestNotStartedError(StartFailureReason.INSTANTIATION_FAILED, message)
    ctypes.memset(address + flags, 1, _UDP_AND_TCP)


def _flags_beside(before: bytes, after: bytes) -> int | None:
    """Return the offset of two flags that are off, right behind the one that has changed."""
    changed = [at for at, byte in enumerate(before) if byte != after[at]]
    if len(changed) != 1 or (before[changed[0]], after[changed[0]]) != (0, 1):
        return None
    flags = changed[0] + 1
    return flags if after[flags : flags + _UDP_AND_TCP] == bytes(_UDP_AND_TCP) else None
