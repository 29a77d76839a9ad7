"""A store with one instance, by wasmtime's C functions themselves.

The binding's objects cost a fresh instance half as much again as what they wrap.
"""

import ctypes
from typing import Any, Final

from wasmtime import Engine
from wasmtime import _ffi as wasmtime_c
from wasmtime.component import Component, Linker

from wasm_executor.runtimes.limits import limits_of
from wasm_executor.runtimes.wasihttp.library import delete, quick, slow
from wasm_executor.runtimes.wasihttp.linking import error_of
from wasm_executor.runtimes.wasihttp.values import SIZE, Type

_ADDRESS: Final = ctypes.c_void_p
_new_store: Final = quick("wasmtime_store_new", _ADDRESS, _ADDRESS, _ADDRESS, _ADDRESS)
_context_of: Final = quick("wasmtime_store_context", _ADDRESS, _ADDRESS)
_limit: Final = quick("wasmtime_store_limiter", None, _ADDRESS, *[ctypes.c_int64] * 5)
_delete_store: Final = slow("wasmtime_store_delete", None, _ADDRESS)
_instantiate: Final = slow("wasmtime_component_linker_instantiate", _ADDRESS, *[_ADDRESS] * 4)
_find: Final = quick("wasmtime_component_instance_get_func", ctypes.c_bool, *[_ADDRESS] * 4)
_call: Final = slow(
    "wasmtime_component_func_call",
    _ADDRESS,
    _ADDRESS,
    _ADDRESS,
    _ADDRESS,
    ctypes.c_size_t,
    _ADDRESS,
    ctypes.c_size_t,
)
_INSTANCE: Final = ctypes.sizeof(wasmtime_c.wasmtime_component_instance_t)
_FUNCTION: Final = ctypes.sizeof(wasmtime_c.wasmtime_component_func_t)
_ARGUMENTS: Final = 2
_Own: Final = ctypes.c_char * (_INSTANCE + _FUNCTION + _ARGUMENTS * SIZE)


def _address(pointer: Any) -> int:
    return ctypes.cast(pointer, _ADDRESS).value or 0


class Blueprint:
    """What every instance of a component is made of."""

    def __init__(
        self,
        engine: Engine,
        linker: Linker,
        component: Component,
        function: Any,
        ceiling: int | None,
    ) -> None:
        self._kept = (engine, linker, component, function)
        self.engine = _address(engine.ptr())
        self.linker = _address(linker.ptr())
        self.component = _address(component.ptr())
        self.function = _address(function.ptr())
        self.limits = limits_of(ceiling)


class GuestStore:
    """One store; `context` is what callbacks name it by."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint
        self._store: int | None = _new_store(blueprint.engine, None, None)
        _limit(self._store, *blueprint.limits)
        self.context: int = _context_of(self._store)
        self._own = _Own()
        self._function = ctypes.addressof(self._own) + _INSTANCE

    def instantiate(self) -> None:
        """Run what the component does at its start; raise the trap of it."""
        made = ctypes.addressof(self._own)
        blueprint = self._blueprint
        error = _instantiate(blueprint.linker, self.context, blueprint.component, made)
        if error:
            raise error_of(error)
        found = _find(made, self.context, blueprint.function, self._function)
        assert found

    def call(self, first: Any, of: Type, second: Any, of_second: Type) -> None:
        """Call the function with two handles; raise the trap that ended it."""
        at = self._function + _FUNCTION
        of.write(at, first, self.context)
        of_second.write(at + SIZE, second, self.context)
        error = _call(self._function, self.context, at, _ARGUMENTS, None, 0)
        delete(at)
        delete(at + SIZE)
        if error:
            raise error_of(error)

    def close(self) -> None:
        """End the instance and all it has."""
        if self._store is not None:
            _delete_store(self._store)
            self._store = None
