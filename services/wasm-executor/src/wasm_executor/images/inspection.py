"""What an artifact is, and why it could not start: seen by the compiler, told before a container.

The problems use wasmtime's words where it has some, so that they can be searched for.
"""

from typing import Final

from wasmtime import Engine, FuncType, Linker, Module, Store, WasmtimeError
from wasmtime.component import Component

from wasm_executor.images.records import World

_WASI_1: Final = "wasi_snapshot_preview1"
_RUN: Final = "wasi:cli/run@0.2"
_HTTP_HANDLER: Final = "wasi:http/incoming-handler@0.2"
_COMMAND_WORLD: Final = tuple(
    f"wasi:{package}/" for package in ("cli", "clocks", "filesystem", "io", "random", "sockets")
)
_HTTP_WORLD: Final = "wasi:http/"
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
    if any(name.startswith(_HTTP_HANDLER) for name in exports):
        seen.world = World.HTTP
        seen.host_types = _host_types(engine, component)
    elif any(name.startswith(_RUN) for name in exports):
        seen.world = World.COMMAND
    versions = {
        name.rpartition("@")[2].rpartition(".")[0]
        for name in imports + exports
        if name.startswith("wasi:")
    }
    seen.wasi = max(versions, default=None)
    problems = [
        f"unknown import: `{name}` has not been defined"
        for name in imports
        if not _is_given(name, seen.world)
    ]
    if seen.world is World.NONE:
        problems.append(f"unknown export: the component has no `{_RUN}`")
    seen.problems = tuple(problems[:_LISTED])
    return seen


def _host_types(engine: Engine, component: Component) -> str:
    """Compare once what each start would; imports late, for most artifacts are no handlers."""
    from wasm_executor.runtimes.wasihttp.guests import HOST_TYPES, KNOWN
    from wasm_executor.runtimes.wasihttp.shapes import others

    return HOST_TYPES if next(others(component, engine, KNOWN), None) is None else ""


def _is_given(name: str, world: World) -> bool:
    if not name.rpartition("@")[2].startswith("0.2."):
        return False
    return name.startswith(_COMMAND_WORLD) or (world is World.HTTP and name.startswith(_HTTP_WORLD))
