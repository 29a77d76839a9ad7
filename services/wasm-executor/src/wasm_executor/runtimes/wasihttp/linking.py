"""Host functions and host resources: what a component imports, joined to Python objects.

The binding's own way keeps a function's exception in one variable of the module, so that with two
threads a trap reaches the wrong one. Here a host function that fails hands its error to wasmtime
itself, and what failed stays with the instance that called. Its C interface is used directly; this
module and `values` are all that knows it.
"""

import ctypes
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from wasmtime import WasmtimeError
from wasmtime import _ffi as wasmtime_c
from wasmtime.component import BorrowType, Linker, LinkerInstance, OwnType, ResourceType

from wasm_executor.runtimes.wasihttp.library import MEMORY, quick
from wasm_executor.runtimes.wasihttp.shapes import Shape, Signature
from wasm_executor.runtimes.wasihttp.values import SIZE, Type

_POINTER: Final = ctypes.c_void_p
_any_to_host: Final = quick(
    "wasmtime_component_resource_any_to_host", _POINTER, _POINTER, _POINTER, _POINTER
)
_host_rep: Final = quick("wasmtime_component_resource_host_rep", ctypes.c_uint32, _POINTER)
_host_delete: Final = quick("wasmtime_component_resource_host_delete", None, _POINTER)
_host_new: Final = quick(
    "wasmtime_component_resource_host_new",
    _POINTER,
    ctypes.c_bool,
    ctypes.c_uint32,
    ctypes.c_uint32,
)
_host_to_any: Final = quick(
    "wasmtime_component_resource_host_to_any", _POINTER, _POINTER, _POINTER, _POINTER
)
_error_new: Final = quick("wasmtime_error_new", _POINTER, ctypes.c_char_p)

_RESOURCE_KIND: Final = wasmtime_c.WASMTIME_COMPONENT_RESOURCE.value
_NOTHING_KIND: Final = wasmtime_c.WASMTIME_COMPONENT_BOOL.value
_HANDLE: Final = 8
"""Where it is in a value; what follows it there is free."""
_one: Final = struct.Struct("<Q").unpack_from

_FUNCTION: Final = ctypes.CFUNCTYPE(
    ctypes.c_size_t,
    ctypes.c_size_t,
    ctypes.c_size_t,
    ctypes.c_size_t,
    ctypes.c_size_t,
    ctypes.c_size_t,
    ctypes.c_size_t,
)
"""data, context, type, arguments and their number, results; an error or 0.

Their number, which comes last, is known: each argument costs a callback a twentieth of it.
"""
_DESTRUCTOR: Final = ctypes.CFUNCTYPE(
    ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_uint32
)
_NOTHING: Final = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))


def _require(error: Any) -> None:
    """Raise an error that a definition returned; a null pointer is none."""
    if error:
        raise WasmtimeError._from_ptr(error)  # noqa: SLF001 - as the binding itself does


def error_of(error: int) -> WasmtimeError:
    """Take an error that a call returned: a trap, or what a host function said."""
    pointer = ctypes.cast(error, ctypes.POINTER(wasmtime_c.wasmtime_error_t))
    return WasmtimeError._from_ptr(pointer)  # noqa: SLF001 - as the binding itself does


class Holder(Protocol):
    """One instance's side of its host: what its handles stand for."""

    objects: dict[int, Any]
    failure: BaseException | None

    def hold(self, thing: Any) -> int:
        """Give a thing a number."""


class Function(NamedTuple):
    """A host function: its Python side, which gets the instance's holder first, and its types."""

    call: Callable[..., Any]
    parameters: tuple[Type, ...] = ()
    result: Type | None = None

    @property
    def signature(self) -> Signature:
        return tuple(each.shape for each in self.parameters), self.result is not None


type Interface = Mapping[str, "Function | Resource"]


class Resource:
    """A host-defined resource type; `own` and `borrow` are the types of handles to it."""

    _last_number = 0

    def __init__(self, on_drop: Callable[[Any], None] | None = None) -> None:
        Resource._last_number += 1
        self.number = Resource._last_number
        self.on_drop = on_drop
        self.own = Type(_takes, self._gives, Shape(OwnType))
        self.borrow = Type(_looks, self._gives, Shape(BorrowType))

    def _gives(self, at: int, thing: Any, context: int) -> None:
        host = _host_new(True, HOLDERS[context].hold(thing), self.number)
        error = _host_to_any(context, host, at + _HANDLE)
        _host_delete(host)
        assert not error
        MEMORY[at] = _RESOURCE_KIND


HOLDERS: Final[dict[int, Holder]] = {}
"""By the address of a store's context: whose call it is."""


def _rep(at: int, context: int) -> int:
    """Return the number behind a handle; that also gives the handle back to wasmtime."""
    free = at + 2 * _HANDLE
    error = _any_to_host(context, _one(MEMORY, at + _HANDLE)[0], free)
    assert not error
    (host,) = _one(MEMORY, free)
    rep: int = _host_rep(host)
    _host_delete(host)
    return rep


def _looks(at: int, context: int) -> Any:
    return HOLDERS[context].objects[_rep(at, context)]


def _takes(at: int, context: int) -> Any:
    return HOLDERS[context].objects.pop(_rep(at, context))


class Imports:
    """Definitions of a linker; it keeps what the library calls back alive."""

    def __init__(self, linker: Linker) -> None:
        self._linker = linker
        self._kept: list[object] = []

    def define(self, interfaces: Mapping[str, Interface]) -> None:
        with self._linker.root() as root:
            for name, interface in interfaces.items():
                with root.add_instance(name) as instance:
                    for item, definition in interface.items():
                        if isinstance(definition, Resource):
                            self._add_resource(instance, item, definition)
                        else:
                            self._add_function(instance, item, definition)

    def _add_function(self, instance: LinkerInstance, name: str, function: Function) -> None:
        callback = _FUNCTION(_trampoline(function))
        self._kept.append(callback)
        encoded = name.encode()
        error = wasmtime_c.wasmtime_component_linker_instance_add_func(
            instance.ptr(),
            ctypes.create_string_buffer(encoded),
            len(encoded),
            ctypes.cast(callback, wasmtime_c.wasmtime_component_func_callback_t),
            None,
            _NOTHING,
        )
        _require(error)

    def _add_resource(self, instance: LinkerInstance, name: str, resource: Resource) -> None:
        def dropped(_data: int, context: int, rep: int) -> int:
            thing = HOLDERS[context].objects.pop(rep, None)
            if thing is not None and resource.on_drop is not None:
                resource.on_drop(thing)
            return 0

        callback = _DESTRUCTOR(dropped)
        kind = ResourceType.host(resource.number)
        self._kept += (callback, kind)
        encoded = name.encode()
        error = wasmtime_c.wasmtime_component_linker_instance_add_resource(
            instance.ptr(),
            ctypes.create_string_buffer(encoded),
            len(encoded),
            kind.ptr(),
            ctypes.cast(callback, wasmtime_c.wasmtime_component_resource_destructor_t),
            None,
            _NOTHING,
        )
        _require(error)


def _trampoline(function: Function) -> Callable[..., int]:
    call, readers = function.call, tuple(each.read for each in function.parameters)
    write = function.result.write if function.result is not None else None
    read_first = readers[0] if readers else None
    others = tuple((read, n * SIZE) for n, read in enumerate(readers[1:], start=1))

    def trampoline(
        _data: int, context: int, _type: int, arguments: int, _n: int, results: int
    ) -> int:
        holder = HOLDERS[context]
        try:
            if read_first is None:
                value = call(holder)
            elif others:
                first = read_first(arguments, context)
                value = call(holder, first, *[read(arguments + at, context) for read, at in others])
            else:
                value = call(holder, read_first(arguments, context))
            if write is not None:
                write(results, value, context)
        except BaseException as error:  # noqa: BLE001 - it must not pass through C frames
            holder.failure = error
            if write is not None:
                MEMORY[results] = _NOTHING_KIND  # nobody follows what is half written
            return int(_error_new(str(error).encode() or b"the host failed"))
        return 0

    return trampoline
