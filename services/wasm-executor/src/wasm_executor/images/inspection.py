"""What an artifact is, and why it could not start: seen by the compiler, told before a container.

The problems use wasmtime's words where it has some, so that they can be searched for.
"""

from typing import Final

from wasmtime import Engine, FuncType, Linker, Module, Store, WasmtimeError
from wasmtime.component import Component

from podspec.interfaces import HANDLER, RUN, is_given, versions_of
from wasm_executor.images.records import World

_WASI_1: Final = "wasi_snapshot_preview1"
_LISTED: Final = 256
"""Names that are written down: enough to see, not enough to fill a disk."""


class Inspection:
    """Names going in and out, and what follows from them."""

    def __init__(self, imports: list[str], exports: list[str]) -> None:
        self.imports = tuple(imports[:_LISTED])
        self.exports = tuple(exports[:_LISTED])
        self.world = World.NONE
        self.wasi: str | None = None
        self.problems: tuple[str, ...] = ()
        self.host_types = ""


def inspect_module(engine: Engine, module: Module) -> Inspection:
    wanted = [(item.module, item.name or "") for item in module.imports]
    starts = [item.type for item in module.exports if item.name == "_start"]
    seen = Inspection(
        [f"{owner}::{name}" for owner, name in wanted], [item.name for item in module.exports]
    )
    seen.wasi = "0.1" if any(owner == _WASI_1 for owner, _ in wanted) else None
    problems = _undefined(engine, wanted)
    if any(isinstance(kind, FuncType) and not kind.params and not kind.results for kind in starts):
        seen.world = World.COMMAND
    elif starts:
        problems.append('"_start" is not a function without parameters and results')
    else:
        problems.append('unknown export: the module has no function "_start"')
    seen.problems = tuple(problems[:_LISTED])
    return seen


def _undefined(engine: Engine, wanted: list[tuple[str, str]]) -> list[str]:
    linker = Linker(engine)
    linker.define_wasi()
    store = Store(engine)
    problems = []
    for owner, name in wanted:
        try:
            linker.get(store, owner, name)
        except WasmtimeError:
            problems.append(f"unknown import: `{owner}::{name}` has not been defined")
    return problems


def inspect_component(engine: Engine, component: Component) -> Inspection:
    imports = sorted(component.type.imports(engine))
    exports = sorted(component.type.exports(engine))
    seen = Inspection(imports, exports)
    if any(name.startswith(HANDLER) for name in exports):
        seen.world = World.HTTP
        seen.host_types = _host_types(engine, component)
    elif any(name.startswith(RUN) for name in exports):
        seen.world = World.COMMAND
    seen.wasi = max(versions_of(imports + exports), default=None)
    problems = [
        f"unknown import: `{name}` has not been defined"
        for name in imports
        if not is_given(name, to_handler=seen.world is World.HTTP)
    ]
    if seen.world is World.NONE:
        problems.append(f"unknown export: the component has no `{RUN}`")
    seen.problems = tuple(problems[:_LISTED])
    return seen


def _host_types(engine: Engine, component: Component) -> str:
    """Compare once what each start would; imports late, for most artifacts are no handlers."""
    from wasm_executor.runtimes.wasihttp.guests import HOST_TYPES, KNOWN
    from wasm_executor.runtimes.wasihttp.shapes import others

    return HOST_TYPES if next(others(component, engine, KNOWN), None) is None else ""
