"""The component that a container serves: linked once, instantiated for each request."""

from typing import Any, Final, NamedTuple

from wasmtime import Engine, WasmtimeError
from wasmtime.component import Component, Linker

from wasm_executor.runtimes.wasihttp import (
    cliinterfaces,
    fileinterfaces,
    httpinterfaces,
    iointerfaces,
    outgoinginterface,
)
from wasm_executor.runtimes.wasihttp.files import Descriptor
from wasm_executor.runtimes.wasihttp.guestcalls import Blueprint, GuestStore
from wasm_executor.runtimes.wasihttp.httpresources import INCOMING_REQUEST, RESPONSE_OUTPARAM
from wasm_executor.runtimes.wasihttp.instance import Instance, OnWait
from wasm_executor.runtimes.wasihttp.linking import HOLDERS, Function, Imports
from wasm_executor.runtimes.wasihttp.messages import Answer, IncomingRequest
from wasm_executor.runtimes.wasihttp.outgoing import Outgoing
from wasm_executor.runtimes.wasihttp.shapes import name_of

HANDLER: Final = "wasi:http/incoming-handler@0.2.0"
"""wasmtime finds a later 0.2.x by it."""
VERSION: Final = "0.2.12"

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


KNOWN: Final = {
    name: {item: it.signature for item, it in items.items() if isinstance(it, Function)}
    for each in _DEFINED
    for name, items in each.INTERFACES.items()
}
"""What every function of the host takes, by interface and name."""
HOST_TYPES: Final = name_of(KNOWN)


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
        self._store = GuestStore(handlers.blueprint)
        self._context = self._store.context
        self.instance = Instance(world.args, world.env, world.outgoing)
        self.instance.folders = world.folders
        HOLDERS[self._context] = self.instance
        self.served = 0
        try:
            self._store.instantiate()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop everything that the guest still held."""
        HOLDERS.pop(self._context, None)
        self._store.close()
        for thing in self.instance.objects.values():
            drop = getattr(thing, "drop", None)
            if drop is not None:
                drop()

    def call(self, request: IncomingRequest, answer: Answer) -> None:
        """Call the handler; raise what ended it."""
        try:
            self._store.call(request, INCOMING_REQUEST.own, answer, RESPONSE_OUTPARAM.own)
        except WasmtimeError as trap:
            raise self.instance.failure or trap from None


class Handlers:
    """A container's instances: a fresh one for each request, or one for several in turn."""

    def __init__(
        self, engine: Engine, linker: Linker, component: Component, function: Any, world: World
    ) -> None:
        self.blueprint = Blueprint(engine, linker, component, function, world.memory_ceiling)
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
