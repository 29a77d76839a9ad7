"""One module, run as a process per request: CGI as it always was.

A process costs a fork of a worker that has the module linked. It brings what a thread could not:
stdin and stdout of its own, and an end at its time (by a timer of the kernel's) that costs no
other request anything.
"""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final, NoReturn

import msgspec
from wasmtime import Engine, Func, FuncType, InstancePre, Linker, Module, Store

from wasm_executor.container.plan import ProcessPlan
from wasm_executor.keeper.descriptors import FIRST_AFTER_STDIO, close_all_but
from wasm_executor.keeper.linux import die_with_parent
from wasm_executor.runtimes.errors import GuestTrappedError
from wasm_executor.runtimes.startfailures import no_entry
from wasm_executor.runtimes.wagi.asking import Asking
from wasm_executor.runtimes.wagi.running import Running, stdin_pair, stdout_pair
from wasm_executor.runtimes.wasihttp.outgoing import Outgoing
from wasm_executor.runtimes.wasihttp.saying import say
from wasm_executor.runtimes.wasimodules import exit_code, linked_module, loaded_module, new_store

ROUTES_FUNCTION: Final = "_routes"
ROUTES_TIME_S: Final = 10.0
MOST_SAID: Final = 64 * 1024
TRAP_CODE: Final = 134
BROKEN_CODE: Final = 70
LOOKED_THROUGH: Final = 256
"""Descriptors that may be open before anything is served, and many more."""


class Program:
    """A module that is linked, and the world that each of its processes has."""

    def __init__(
        self, engine: Engine, linker: Linker, plan: ProcessPlan, asking: Asking, outgoing: Outgoing
    ) -> None:
        self._engine = engine
        self._plan = plan
        self._asking = asking
        self._outgoing = outgoing
        before = open_descriptors()
        module = loaded_module(engine, plan.artifact.path)
        self._linked: InstancePre = linked_module(linker, Store(engine), module)
        self._of_the_module = open_descriptors() - before
        """wasmtime maps each instance's data from the file."""
        self._functions = _functions_of(module)

    def require(self, entrypoints: Sequence[str]) -> None:
        """Raise `GuestNotStartedError` for a function that the module has not."""
        for each in entrypoints:
            if each not in self._functions:
                raise no_entry(f"the module exports no function `{each}` without parameters")

    def begin(
        self, entrypoint: str, args: Sequence[str], env: dict[str, str], deadline: float
    ) -> Running:
        """Start a process of it, which ends at the deadline at the latest.

        Raise `OSError`, and leave nothing open, where this machine has no room for it.
        """
        own = {name: value for name, value in self._plan.env if name not in env}
        plan = msgspec.structs.replace(self._plan, args=tuple(args), env=tuple((own | env).items()))
        with ExitStack() as its, ExitStack() as ours:
            stdin, written = stdin_pair(its, ours)
            stdout, read = stdout_pair(its, ours)
            pid = os.fork()
            if pid == 0:
                self._be_guest(entrypoint, plan, deadline, (stdin, stdout))
            ours.pop_all()
        return Running(pid, written, read)

    def own_routes(self) -> str:
        """Return what the module's `_routes` says; nothing where it has none."""
        if ROUTES_FUNCTION not in self._functions:
            return ""
        with self.begin(ROUTES_FUNCTION, (), {}, time.monotonic() + ROUTES_TIME_S) as running:
            running.end_stdin()
            with open(running.stdout, "rb", closefd=False) as output:
                said = output.read(MOST_SAID)
        return said.decode("utf-8", "replace")

    def _be_guest(
        self, entrypoint: str, plan: ProcessPlan, deadline: float, stdio: tuple[int, int]
    ) -> NoReturn:
        code = BROKEN_CODE
        try:
            die_with_parent()
            signal.setitimer(signal.ITIMER_REAL, max(0.001, deadline - time.monotonic()))
            for target, source in enumerate(stdio):
                os.dup2(source, target)
            close_all_but(self._of_the_module)
            self._asking.begin(self._outgoing, deadline)
            code = self._run(entrypoint, plan)
        except GuestTrappedError as trap:
            say(f"trap: {trap}")
            code = TRAP_CODE
        except BaseException as error:  # noqa: BLE001 - whatever it is, this process ends here
            say(f"a handler's process failed: {error!r}")
        finally:
            os._exit(code)

    def _run(self, entrypoint: str, plan: ProcessPlan) -> int:
        store = new_store(self._engine, plan)

        def command() -> int:
            function = self._linked.instantiate(store).exports(store)[entrypoint]
            assert isinstance(function, Func)
            return function(store) or 0

        return exit_code(command)


def open_descriptors() -> frozenset[int]:
    """Return those above stdio; `/proc` cannot be listed here."""
    return frozenset(fd for fd in range(FIRST_AFTER_STDIO, LOOKED_THROUGH) if _is_open(fd))


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _functions_of(module: Module) -> frozenset[str]:
    return frozenset(
        each.name
        for each in module.exports
        if isinstance(each.type, FuncType) and not each.type.params
    )
