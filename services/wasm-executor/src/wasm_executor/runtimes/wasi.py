"""The `wasi` runtime: WASI 0.1 command modules and WASI 0.2 command components, by wasmtime.

Stdio is inherited, never a Python callback: a full pipe then blocks the guest itself, and no
foreign thread enters Python. Exceptions of the binding cross threads, so one process runs one
guest on one thread.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NoReturn

from wasmtime import (
    Engine,
    ExitTrap,
    Func,
    FuncType,
    Linker,
    MemoryType,
    Module,
    Store,
    Trap,
    ValType,
    WasiConfig,
    WasmtimeError,
)
from wasmtime import component as components

from wasm_executor.container.beneath import open_beneath, openable
from wasm_executor.container.plan import (
    HTTP_WORLD,
    Artifact,
    ArtifactKind,
    Preopen,
    ProcessPlan,
    StartFailureReason,
)
from wasm_executor.runtimes.engine import new_engine
from wasm_executor.runtimes.errors import GuestNotStartedError, GuestTrappedError
from wasm_executor.runtimes.limits import limit_store, memory_ceiling
from wasm_executor.runtimes.network import allow_network
from wasm_executor.runtimes.startfailures import NO_INSTANCES, no_entry, not_linked, unusable

ENTRY_FUNCTION: Final = "_start"
RUN_INTERFACE: Final = "wasi:cli/run@0.2.0"
"""wasmtime finds a later 0.2.x by it."""
WASI_01_MODULES: Final = ("wasi_snapshot_preview1", "wasi_unstable")
PAGE_BYTES: Final = 64 * 1024


class _GuestLeftError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class WasiRuntime:
    """Runs commands: `_start`, or `wasi:cli/run`."""

    def prepare(self) -> None:
        self._engine = new_engine()
        self._modules = Linker(self._engine)
        self._modules.define_wasi()
        self._modules.allow_shadowing = True
        for version in WASI_01_MODULES:
            self._modules.define_func(version, "proc_exit", FuncType([ValType.i32()], []), _leave)
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
        store = _new_store(self._engine, plan)
        if plan.artifact.kind is ArtifactKind.MODULE:
            command = self._module_command(store, plan)
        else:
            command = self._component_command(store, plan.artifact.path)
        on_started()
        return _exit_code(command)

    def _module_command(self, store: Store, plan: ProcessPlan) -> Callable[[], int]:
        """Check all that can be known of a module before any code of it runs."""
        try:
            module = Module.deserialize_file(self._engine, plan.artifact.path)
        except WasmtimeError as error:
            raise unusable(error) from error
        try:
            linked = self._modules.instantiate_pre(module)
        except WasmtimeError as error:
            raise not_linked(error, self._missing_imports(store, module)) from error
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
            raise no_entry("the component does not export `wasi:cli/run`: it is not a command")
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
                raise not_linked(error, ()) from error

    def _missing_imports(self, store: Store, module: Module) -> tuple[str, ...]:
        names = []
        for wanted in module.imports:
            try:
                self._modules.get(store, wanted.module, wanted.name or "")
            except WasmtimeError:
                names.append(f"{wanted.module}::{wanted.name}")
        return tuple(names)


def _new_store(engine: Engine, plan: ProcessPlan) -> Store:
    wasi = WasiConfig()
    wasi.argv = list(plan.args)
    wasi.env = plan.env
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    for folder in plan.preopens:
        _preopen(wasi, folder)
    if plan.network:
        allow_network(wasi)
    store = Store(engine)
    store.set_wasi(wasi)
    limit_store(store, memory_ceiling(plan))
    return store


def _leave(code: int) -> NoReturn:
    """`proc_exit` as a process has it: wasmtime's own traps at 126 and above."""
    raise _GuestLeftError(code & 0xFF)


def _exit_code(command: Callable[[], int]) -> int:
    """Run the guest: a module's start section is as much of it as its `_start`."""
    try:
        return command()
    except (_GuestLeftError, ExitTrap) as leaving:
        return leaving.code
    except (Trap, WasmtimeError) as error:
        raise GuestTrappedError(str(error).rstrip()) from error


def _preopen(wasi: WasiConfig, folder: Preopen) -> None:
    try:
        with _opened(folder) as path:
            wasi.preopen_dir(path, folder.guest_path, not folder.read_only)
    except (WasmtimeError, OSError) as error:
        message = f"the folder for {folder.guest_path} cannot be opened"
        raise GuestNotStartedError(StartFailureReason.INSTANTIATION_FAILED, message) from error


@contextmanager
def _opened(folder: Preopen) -> Iterator[str]:
    """Give a path that means this folder and no other, whatever another guest does to its own."""
    if not folder.beneath:
        yield folder.host_path
        return
    descriptor = open_beneath(folder.host_path, folder.beneath)
    try:
        yield openable(descriptor)
    finally:
        os.close(descriptor)


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
