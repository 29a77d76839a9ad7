"""A runtime of one's own: calls one function of a module, and prints what it returns.

The container's first argument names the function, the others are its integers:
`args: [add, "2", "3"]`. It takes modules that are no programs, so a pod needs no RuntimeClass.
"""

import sys
from collections.abc import Callable

from wasmtime import Func, Instance, Module, Store, Trap, WasmtimeError

from wasm_executor.container.plan import Artifact, ArtifactKind, ProcessPlan, StartFailureReason
from wasm_executor.runtimes.engine import new_engine
from wasm_executor.runtimes.errors import GuestNotStartedError, GuestTrappedError
from wasm_executor.runtimes.limits import limit_store, memory_ceiling


class InvokeRuntime:
    """Runs `FUNCTION [INTEGER]...`."""

    def prepare(self) -> None:
        # Once, before any container: what is imported here is shared by all, and afterwards a
        # container's process reads no file but its module and its mounts.
        self._engine = new_engine()

    def accepts(self, artifact: Artifact) -> bool:
        return artifact.kind is ArtifactKind.MODULE and artifact.world == "none"

    def run(self, plan: ProcessPlan, on_started: Callable[[], None]) -> int:
        name, numbers = _called(plan.args[1:])
        store = Store(self._engine)
        limit_store(store, memory_ceiling(plan))
        try:
            module = Module.deserialize_file(self._engine, plan.artifact.path)
        except WasmtimeError as error:
            raise _refused(StartFailureReason.ARTIFACT_UNUSABLE, str(error)) from error
        if name not in {each.name for each in module.exports}:
            raise _refused(StartFailureReason.NOT_A_COMMAND, f"the module has no function {name!r}")
        on_started()
        try:
            function = Instance(store, module, []).exports(store)[name]
            if not isinstance(function, Func):
                raise GuestTrappedError(f"{name!r} is no function")
            _say(str(function(store, *numbers)))
        except (Trap, WasmtimeError, TypeError) as error:
            raise GuestTrappedError(str(error).rstrip()) from error
        return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _called(words: tuple[str, ...]) -> tuple[str, list[int]]:
    try:
        return words[0], [int(each) for each in words[1:]]
    except (IndexError, ValueError) as error:
        problem = "want the arguments FUNCTION [INTEGER]..."
        raise _refused(StartFailureReason.INVALID_PLAN, problem) from error


def _refused(reason: StartFailureReason, message: str) -> GuestNotStartedError:
    return GuestNotStartedError(reason, message)
