"""wasmtime's C functions, called with the least there is between, and this process's memory.

The binding wraps what it calls in objects and checks; a request makes hundreds of such calls.
"""

import ctypes
from collections.abc import Callable
from typing import Any, Final

from wasmtime import _ffi as wasmtime_c

MEMORY: Final = memoryview((ctypes.c_ubyte * (1 << 62)).from_address(0)).cast("B")
"""This process's memory, by address: only what the library has named may be touched."""

# The interpreter's lock is kept over these: each takes less time than letting it go.
_LIBRARY: Final = wasmtime_c.dll._name  # noqa: SLF001 - ctypes' documented attribute
_quick: Final = ctypes.PyDLL(_LIBRARY)
_slow: Final = ctypes.CDLL(_LIBRARY)


def quick(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """Return one of the library's functions that never waits and never calls back."""
    function = _quick[name]
    function.restype, function.argtypes = result, arguments
    return function


def slow(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """Return one that runs a guest: other threads go on meanwhile."""
    function = _slow[name]
    function.restype, function.argtypes = result, arguments
    return function


delete: Final = quick("wasmtime_component_val_delete", None, ctypes.c_void_p)
"""Frees what hangs on a value."""
move_away: Final = quick("wasmtime_component_val_new", ctypes.c_void_p, ctypes.c_void_p)
"""Moves a value away from where it is, into memory of its own."""
new_bytes: Final = quick(
    "wasm_byte_vec_new", None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
)
new_list: Final = quick(
    "wasmtime_component_vallist_new_uninit", None, ctypes.c_void_p, ctypes.c_size_t
)
new_tuple: Final = quick(
    "wasmtime_component_valtuple_new_uninit", None, ctypes.c_void_p, ctypes.c_size_t
)
new_record: Final = quick(
    "wasmtime_component_valrecord_new_uninit", None, ctypes.c_void_p, ctypes.c_size_t
)
new_flags: Final = quick(
    "wasmtime_component_valflags_new_uninit", None, ctypes.c_void_p, ctypes.c_size_t
)
