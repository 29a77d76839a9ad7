"""The `wasi` runtime: WASI 0.1 command modules and WASI 0.2 command components, by wasmtime."""

from collections.abc import Callable, Mapping
from typing import Final

from wasmtime import Func, FuncType, MemoryType, Store, WasmtimeError
from wasmtime import component as components

from wasm_executor.container.plan import (
    HTTP_WORLD,
    Artifact,
    ArtifactKind,
    ProcessPlan,
    StartFailureReason,
)
from wasm_executor.runtimes.engine import new_engine
from wasm_executor.runtimes.errors import GuestNotStartedError, GuestTrappedError
from wasm_executor.runtimes.limits import memory_ceiling
from wasm_executor.runtimes.startfailures import (
    NO_INSTANCES,
    no_entry,
    not_linked,
    other_wasi,
    unusable,
)
from wasm_executor.runtimes.wasimodules import (
    exit_code,
    linked_module,
    loaded_module,
    new_module_linker,
    new_store,
)

ENTRY_FUNCTION: Final = "_start"
RUN_INTERFACE: Final = "wasi:cli/run@0.2.0"
"""wasmtime finds a later 0.2.x by it."""
PAGE_BYTES: Final = 64 * 1024


class WasiRuntime:
    """Runs commands: `_start`, or `wasi:cli/run`."""

    def prepare(self) -> None:
        self._engine = new_engine()
        self._modules = new_module_linker(self._engine)
        self._components = components.Linker(self._engine)
        self._components.add_wasip2()

    def accepts(self, artifact: Artifact) -> bool:
        return artifact.world != HTTP_WORLD

    def run(self, plan: ProcessPlan, on_started: Callable[[], None]) -> int:
        if plan.artifact.world == HTTP_WORLD:
            raise no_entry(
                "the component handles HTTP requests, and `wasi` runs commands: its pod wants a "
                "RuntimeClass whose handler is `wasi-http` (wasmtime-wasi-http)"
            )
        store = new_store(self._engine, plan)
        if plan.artifact.kind is ArtifactKind.MODULE:
            command = self._module_command(store, plan)
        else:
            command = self._component_command(store, plan.artifact.path)
        on_started()
        return exit_code(command)

    def _module_command(self, store: Store, plan: ProcessPlan) -> Callable[[], int]:
        """Check all that can be known of a module before any code of it runs."""
        module = loaded_module(self._engine, plan.artifact.path)
        linked = linked_module(self._modules, store, module)
        exports = {each.name: each.type for each in module.exports}
        _require_start_function(exports)
        _require_room(exports, memory_ceiling(plan))

        def command() -> int:
            start = linked.instantiate(store).exports(store)[ENTRY_FUNCTION]
            assert isinstance(start, Func)
            return start(store) or 0  # it returns nothing; a code comes by proc_exit

        return command

    def _component_command(self, store: Store, path: str) -> Callable[[], int]:
        """Check all that can be known of a component before any code of it runs."""
        try:
            component = components.Component.deserialize_file(self._engine, path)
        except WasmtimeError as error:
            raise unusable(error) from error
        interface = component.get_export_index(RUN_INTERFACE)
        function = interface and component.get_export_index("run", interface)
        if function is None:
            raise other_wasi("exports", component.type.exports(self._engine)) or no_entry(
                "the component does not export `wasi:cli/run`: it is not a command"
            )
        self._require_imports(component)

        def command() -> int:
            run = self._components.instantiate(store, component).get_func(store, function)
            if run is None:
                raise GuestTrappedError("the component's `wasi:cli/run` has no function `run`")
            return 0 if run(store).tag == "ok" else 1

        return command

    def _require_imports(self, component: components.Component) -> None:
        """Link it in a store that may hold no instance: none of its code can run there."""
        nowhere = Store(self._engine)
        nowhere.set_limits(instances=0)
        try:
            self._components.instantiate(nowhere, component)
        except WasmtimeError as error:
            if NO_INSTANCES not in str(error):
                imports = component.type.imports(self._engine)
                raise other_wasi("imports", imports) or not_linked(error, ()) from error


def _require_start_function(exports: Mapping[str, object]) -> None:
    start = exports.get(ENTRY_FUNCTION)
    if not isinstance(start, FuncType):
        raise no_entry(f"the module exports no function `{ENTRY_FUNCTION}`: it is no WASI command")
    if start.params:
        raise no_entry(f"the module's `{ENTRY_FUNCTION}` has parameters: it is no WASI command")


def _require_room(exports: Mapping[str, object], ceiling: int | None) -> None:
    """A memory that is not exported is seen by the engine alone, when the guest has started."""
    if ceiling is None:
        return
    for memory in exports.values():
        if isinstance(memory, MemoryType) and memory.limits.min * PAGE_BYTES > ceiling:
            message = f"memory minimum size of {memory.limits.min} pages exceeds memory limits"
            raise GuestNotStartedError(StartFailureReason.INSTANTIATION_FAILED, message)
