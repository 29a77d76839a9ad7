"""WASI 0.1 modules under wasmtime, as all runtimes that run them have them.

Stdio is inherited, never a Python callback: a full pipe then blocks the guest itself, and no
foreign thread enters Python. Exceptions of the binding cross threads, so one process runs one
guest on one thread.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from wasmtime import (
    Engine,
    ExitTrap,
    FuncType,
    InstancePre,
    Linker,
    Module,
    Store,
    Trap,
    ValType,
    WasiConfig,
    WasmtimeError,
)

from wasm_executor.container.beneath import open_beneath, openable
from wasm_executor.container.plan import Preopen, ProcessPlan, StartFailureReason
from wasm_executor.runtimes.errors import GuestNotStartedError, GuestTrappedError
from wasm_executor.runtimes.limits import limit_store, memory_ceiling
from wasm_executor.runtimes.network import allow_network
from wasm_executor.runtimes.startfailures import not_linked, unusable

WASI_01_MODULES: Final = ("wasi_snapshot_preview1", "wasi_unstable")


class _GuestLeftError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def new_module_linker(engine: Engine) -> Linker:
    """Return a linker that has WASI 0.1, and lets a guest leave with any exit code."""
    linker = Linker(engine)
    linker.define_wasi()
    linker.allow_shadowing = True
    for version in WASI_01_MODULES:
        linker.define_func(version, "proc_exit", FuncType([ValType.i32()], []), _leave)
    return linker


def loaded_module(engine: Engine, path: str) -> Module:
    try:
        return Module.deserialize_file(engine, path)
    except WasmtimeError as error:
        raise unusable(error) from error


def linked_module(linker: Linker, store: Store, module: Module) -> InstancePre:
    """Return it ready for instances; raise `GuestNotStartedError` naming imports that are not."""
    try:
        return linker.instantiate_pre(module)
    except WasmtimeError as error:
        raise not_linked(error, _missing_imports(linker, store, module)) from error


def _missing_imports(linker: Linker, store: Store, module: Module) -> tuple[str, ...]:
    names = []
    for wanted in module.imports:
        try:
            linker.get(store, wanted.module, wanted.name or "")
        except WasmtimeError:
            names.append(f"{wanted.module}::{wanted.name}")
    return tuple(names)


def new_store(engine: Engine, plan: ProcessPlan) -> Store:
    """Return a store whose guest has what its plan says, and this process's stdio."""
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


def exit_code(command: Callable[[], int]) -> int:
    """Run the guest: a module's start section is as much of it as its `_start`."""
    try:
        return command()
    except (_GuestLeftError, ExitTrap) as leaving:
        return leaving.code
    except (Trap, WasmtimeError) as error:
        raise GuestTrappedError(str(error).rstrip()) from error


def _leave(code: int) -> NoReturn:
    """`proc_exit` as a process has it: wasmtime's own traps at 126 and above."""
    raise _GuestLeftError(code & 0xFF)


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
