"""The component that a container serves: linked once, instantiated for each request."""

import ctypes
from typing import Any, Final, NamedTuple

from wasmtime import Engine, Store
from wasmtime.component import Component, Linker

from wasm_executor.runtimes.limits import limit_store
from wasm_executor.runtimes.wasihttp import (
    cliinterfaces,
    fileinterfaces,
    httpinterfaces,
    iointerfaces,
    outgoinginterface,
)
from wasm_executor.runtimes.wasihttp.files import Descriptor
from wasm_executor.runtimes.wasihttp.httpresources import INCOMING_REQUEST, RESPONSE_OUTPARAM
from wasm_executor.runtimes.wasihttp.instance import Instance, OnWait
from wasm_executor.runtimes.wasihttp.linking import HOLDERS, Imports, address_of, error_of
from wasm_executor.runtimes.wasihttp.messages import Answer, IncomingRequest
from wasm_executor.runtimes.wasihttp.outgoing import Outgoing
from wasm_executor.runtimes.wasihttp.values import SIZE, delete, slow

HANDLER: Final = "wasi:http/incoming-handler@0.2.0"
"""wasmtime finds a later 0.2.x by it."""
VERSION: Final = "0.2.12"

_call: Final = slow(
    "wasmtime_component_func_call",
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.c_size_t,
)


PARAMETERS: Final = 2
_DEFINED: Final = (
    iointerfaces,
    cliinterfaces,
    fileinterfaces,
    httpinterfaces,
    outgoinginterface,
)


def new_linker(engine: Engine) -> tuple[Linker, Imports]:
    """Return a linker with all that a handler may import, and what must live as long."""
    linker = Linker(engine)
    imports = Imports(linker)
    for each in _DEFINED:
        imports.define({f"{name}@{VERSION}": items for name, items in each.INTERFACES.items()})
    return linker, imports


class World(NamedTuple):
    """What every instance of a container sees."""

    args: list[str]
    env: list[tuple[str, str]]
    outgoing: Outgoing
    folders: list[tuple[Descriptor, str]]
    memory_ceiling: int | None
    """Of one instance's memory."""


class _Live:
    """One store with its instance."""

    def __init__(self, handlers: "Handlers") -> None:
        world = handlers.world
        self.store = Store(handlers.engine)
        limit_store(self.store, world.memory_ceiling)
        self.instance = Instance(world.args, world.env, world.outgoing)
        self.instance.folders = world.folders
        self.context = address_of(self.store)
        HOLDERS[self.context] = self.instance
        self.served = 0
        try:
            instantiated = handlers.linker.instantiate(self.store, handlers.component)
            function = instantiated.get_func(self.store, handlers.function)
            assert function is not None
            self.function: Any = function._func  # noqa: SLF001 - the binding's own call is slow
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop everything that the guest still held."""
        HOLDERS.pop(self.context, None)
        self.store.close()
        for thing in self.instance.objects.values():
            drop = getattr(thing, "drop", None)
            if drop is not None:
                drop()

    def call(self, request: IncomingRequest, answer: Answer) -> None:
        """Call the handler; raise what ended it."""
        context = self.context
        parameters = ctypes.create_string_buffer(
            INCOMING_REQUEST.own.write(request, context)
            + RESPONSE_OUTPARAM.own.write(answer, context)
        )
        error = _call(ctypes.byref(self.function), context, parameters, PARAMETERS, None, 0)
        at = ctypes.addressof(parameters)
        delete(at)
        delete(at + SIZE)
        if error:
            trap = error_of(error)
            raise self.instance.failure or trap


class Handlers:
    """A container's instances: a fresh one for each request, or one for several in turn."""

    def __init__(
        self, engine: Engine, linker: Linker, component: Component, function: Any, world: World
    ) -> None:
        self.engine = engine
        self.linker = linker
        self.component = component
        self.function = function
        self.world = world
        self._idle: list[_Live] = []

    def handle(
        self, request: IncomingRequest, answer: Answer, deadline: float, on_wait: OnWait, reuse: int
    ) -> None:
        """Run the handler to its end; raise a trap, or what a host function ended it with."""
        live = self._idle.pop() if self._idle else _Live(self)
        live.instance.begin(deadline, on_wait)
        try:
            live.call(request, answer)
        except BaseException:
            live.close()
            raise
        live.served += 1
        if live.served < reuse:
            self._idle.append(live)
        else:
            live.close()
