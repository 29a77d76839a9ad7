"""Keeping what every container shares shared.

A fork costs memory only where somebody writes, and CPython writes wherever it looks: a reference
count sits in every object. `gc.freeze` stops the collector's writes; this stops the counts too, by
making what exists before the first fork immortal (PEP 683), as the interpreter does with its own
constants. A container then dirties 0.7 MB less and starts in a third of the processor time.
Nothing of it is ever freed, which is right for a process that lives by `os._exit`.

What a container makes anew lies side by side, and so does the code that it runs: a page that is
written anywhere is copied whole.
"""

import ctypes
import gc
import sys
from collections.abc import Collection, Iterable
from types import CodeType, FunctionType
from typing import Final

_KNOWN_LAYOUT: Final = sys.version_info[:2] == (3, 13) and sys.byteorder == "little"
"""The count is the object's first 32 bits there; elsewhere objects only get `gc.freeze`."""
_IMMORTAL: Final = 0xFFFF_FFFF
_LEAST_IMMORTAL: Final = 0x8000_0000
_LARGEST_HOLE: Final = 32 * 1024
_GRAIN: Final = 16
"""Of the C library's sizes, and of Python's."""
_LARGEST_SMALL: Final = 512
"""What is larger, Python takes from the C library."""
_POOL_BYTES: Final = 16 * 1024
_JUST_BEGUN: Final = 3
"""So few blocks are taken of a pool that is new: this one, and numbers that are looked at."""


def freeze_heap() -> None:
    """Call last before serving; with one thread."""
    gc.collect()
    gc.disable()
    if _KNOWN_LAYOUT:
        _make_immortal(gc.get_objects())
    gc.freeze()
    fill_holes()


def fill_holes() -> None:
    """Take what is free amid the heap: else what a container allocates lies there.

    From now on new things lie side by side instead, in pages that nobody has to copy.
    """
    gc.collect()  # which also gives back what the interpreter keeps for tuples and such
    _fill_holes_of_the_c_library()
    if _KNOWN_LAYOUT:
        _fill_holes_of_python()


def lay_together(code: Collection[int]) -> None:
    """Move the code of functions, named by its ids, to one place, in the order given.

    The interpreter notes beside the instructions what it finds out as they run. Call it when
    holes are filled.
    """
    functions: dict[int, list[FunctionType]] = {}
    for found in gc.get_objects():
        if isinstance(found, FunctionType) and id(found.__code__) in code:
            functions.setdefault(id(found.__code__), []).append(found)
    moved: dict[int, CodeType] = {}
    for each in code:
        if each in functions:
            _move(functions[each][0].__code__, code, moved)
    for each, sharing in functions.items():  # only now is the first one's place free again
        for function in sharing:
            function.__code__ = moved[each]


def _move(code: CodeType, moving: Collection[int], moved: dict[int, CodeType]) -> CodeType:
    """Code of functions that are made as it runs is among its constants."""

    def replaced(constant: object) -> object:
        if isinstance(constant, CodeType) and id(constant) in moving:
            return _move(constant, moving, moved)
        return constant

    if id(code) not in moved:
        moved[id(code)] = code.replace(co_consts=tuple(map(replaced, code.co_consts)))
    return moved[id(code)]


def _make_immortal(tracked: Iterable[object]) -> None:
    """Follow references too: the collector does not track strings, numbers and code."""
    todo = tracked
    while todo:
        fresh: list[object] = []
        for found in todo:
            count = ctypes.c_uint32.from_address(id(found))
            if count.value < _LEAST_IMMORTAL:
                count.value = _IMMORTAL
                fresh += gc.get_referents(found)
                if isinstance(found, CodeType):
                    fresh += found.co_consts
        todo = fresh


def _fill_holes_of_the_c_library() -> None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):  # glibc alone has it, and such a heap
        return
    libc.malloc_trim(0)
    libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
    libc.malloc.argtypes = (ctypes.c_size_t,)
    libc.free.argtypes = (ctypes.c_void_p,)
    end = libc.sbrk(0)
    for size in range(_LARGEST_HOLE, 0, -_GRAIN):
        while (found := libc.malloc(size) or 0) and found < end:
            pass
        libc.free(found)


def _fill_holes_of_python() -> None:
    """A size's new pool is begun when all its others are full; its head counts what is taken."""
    allocate = ctypes.pythonapi["PyObject_Malloc"]
    allocate.restype, allocate.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    for size in range(_GRAIN, _LARGEST_SMALL + 1, _GRAIN):
        while (found := allocate(size)) is not None:
            taken = ctypes.c_uint32.from_address(found // _POOL_BYTES * _POOL_BYTES)
            if taken.value <= _JUST_BEGUN:
                break
