"""Interfaces that a guest may import and that are not there: its calls trap, its start does not.

Libraries of languages import sockets whether a program uses them or not. A handler has none: using
them ends the request with the name of what was called.
"""

from collections.abc import Callable
from typing import Final, NoReturn

from wasmtime import Engine
from wasmtime.component import Component, ComponentInstanceType, FuncType, ResourceType

from wasm_executor.runtimes.wasihttp.errors import HandlerEndedError
from wasm_executor.runtimes.wasihttp.iointerfaces import ERROR, INPUT, OUTPUT, POLLABLE
from wasm_executor.runtimes.wasihttp.linking import Function, Imports, Interface, Resource

ABSENT: Final = "wasi:sockets/"


def define_absent(imports: Imports, component: Component, engine: Engine) -> None:
    """Define what this component imports of them."""
    resources = {
        "error": ERROR,
        "pollable": POLLABLE,
        "input-stream": INPUT,
        "output-stream": OUTPUT,
    }
    for name, extern in component.type.imports(engine).items():
        if name.startswith(ABSENT) and isinstance(extern.ty, ComponentInstanceType):
            imports.define({name: _interface(name, extern.ty, engine, resources)})


def _interface(
    name: str, kind: ComponentInstanceType, engine: Engine, resources: dict[str, Resource]
) -> Interface:
    """Resources of one name are one, in all interfaces that use them."""
    items: dict[str, Function | Resource] = {}
    for item, extern in kind.exports(engine).items():
        if isinstance(extern.ty, ResourceType):
            items[item] = resources.setdefault(item, Resource())
        elif isinstance(extern.ty, FuncType):
            items[item] = Function(_absent(f"{name}#{item}"))
    return items


def _absent(name: str) -> Callable[..., NoReturn]:
    def call(*_: object) -> NoReturn:
        raise HandlerEndedError(f"the handler called {name}, which is not there")

    return call
