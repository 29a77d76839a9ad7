"""The `wasi` runtime: WASI 0.1 command modules and WASI 0.2 command components, by wasmtime.

Stdio is inherited, never a Python callback: a full pipe then blocks the guest itself, and no
foreign thread enters Python. Exceptions of the binding cross threads, so one process runs one
guest on one thread.
"""

from collections.abc import Callable
from typing import Final, NoReturn

from wasmtime import (
    Engine,
    ExitTrap,
    Func,
    FuncType,
    Instance,
    Linker,
    Module,
    Store,
    Trap,
    ValType,
    WasiConfig,
    WasmtimeError,
)
from wasmtime import component as components

from wasm_executor.container.plan import (
    Artifact,
    ArtifactKind,
    Preopen,
    ProcessPlan,
    StartFailureReason,
)
from wasm_executor.runtimes.engine import new_engine
from wasm_executor.runtimes.errors import GuestNotStartedError, GuestTrappedError

ENTRY_FUNCTION: Final = "_start"
RUN_INTERFACE: Final = "wasi:cli/run@0.2.0"
"""wasmtime finds a later 0.2.x by it."""
WASI_01_MODULES: Final = ("wasi_snapshot_preview1", "wasi_unstable")
ENGINE_LIMIT_FACTOR: Final = 1.25
"""Above the container's limit: whoever watches memory kills first and says OOMKilled."""


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
        return artifact.kind in ArtifactKind

    def run(self, plan: ProcessPlan, on_started: Callable[[], None]) -> int:
        store = _new_store(self._engine, plan)
        if plan.artifact.kind is ArtifactKind.MODULE:
            entry = self._module_entry(store, plan.artifact.path)
        else:
            entry = self._component_entry(store, plan.artifact.path)
        on_started()
        return _exit_code(entry)

    def _module_entry(self, store: Store, path: str) -> Callable[[], int]:
        try:
            module = Module.deserialize_file(self._engine, path)
        except WasmtimeError as error:
            raise _unusable(error) from error
        try:
            instance = self._modules.instantiate(store, module)
        except (WasmtimeError, Trap) as error:
            raise _not_instantiated(error, self._missing_imports(store, module)) from error
        start = _start_function(store, instance)
        return lambda: start(store) or 0  # it returns nothing; a code comes by proc_exit

    def _component_entry(self, store: Store, path: str) -> Callable[[], int]:
        try:
            component = components.Component.deserialize_file(self._engine, path)
        except WasmtimeError as error:
            raise _unusable(error) from error
        interface = component.get_export_index(RUN_INTERFACE)
        function = interface and component.get_export_index("run", interface)
        if function is None:
            raise _no_entry("the component does not export `wasi:cli/run`: it is not a command")
        try:
            run = self._components.instantiate(store, component).get_func(store, function)
        except (WasmtimeError, Trap) as error:
            raise _not_instantiated(error, ()) from error
        if run is None:
            raise _no_entry("the component's `wasi:cli/run` has no function `run`")
        return lambda: 0 if run(store).tag == "ok" else 1

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
    store = Store(engine)
    store.set_wasi(wasi)
    if plan.memory_limit_bytes is not None:
        store.set_limits(memory_size=int(plan.memory_limit_bytes * ENGINE_LIMIT_FACTOR))
    return store


def _leave(code: int) -> NoReturn:
    """`proc_exit` as a process has it: wasmtime's own traps at 126 and above."""
    raise _GuestLeftError(code & 0xFF)


def _exit_code(entry: Callable[[], int]) -> int:
    try:
        return entry()
    except (_GuestLeftError, ExitTrap) as leaving:
        return leaving.code
    except (Trap, WasmtimeError) as error:
        raise GuestTrappedError(str(error).rstrip()) from error


def _preopen(wasi: WasiConfig, folder: Preopen) -> None:
    try:
        wasi.preopen_dir(folder.host_path, folder.guest_path, not folder.read_only)
    except WasmtimeError as error:
        message = f"the folder for {folder.guest_path} cannot be opened"
        raise GuestNotStartedError(StartFailureReason.INSTANTIATION_FAILED, message) from error


def _start_function(store: Store, instance: Instance) -> Func:
    start = instance.exports(store).get(ENTRY_FUNCTION)
    if not isinstance(start, Func):
        raise _no_entry(f"the module exports no function `{ENTRY_FUNCTION}`: it is no WASI command")
    if start.type(store).params:
        raise _no_entry(f"the module's `{ENTRY_FUNCTION}` has parameters: it is no WASI command")
    return start


def _unusable(error: WasmtimeError) -> GuestNotStartedError:
    return GuestNotStartedError(StartFailureReason.ARTIFACT_UNUSABLE, str(error).rstrip())


def _no_entry(message: str) -> GuestNotStartedError:
    return GuestNotStartedError(StartFailureReason.NOT_A_COMMAND, message)


def _not_instantiated(error: Exception, missing: tuple[str, ...]) -> GuestNotStartedError:
    if missing:
        message = "nothing provides what the module imports: " + ", ".join(missing)
        return GuestNotStartedError(StartFailureReason.NOT_A_COMMAND, message)
    return GuestNotStartedError(StartFailureReason.INSTANTIATION_FAILED, str(error).rstrip())
