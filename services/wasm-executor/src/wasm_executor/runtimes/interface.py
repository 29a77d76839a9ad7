"""What a runtime is: the one thing to write for another kind of guest.

A runtime is a class without arguments, named by an entry point of the group `wasmlet.runtimes`;
the entry point's name is the name that a RuntimeClass handler or an artifact selects. One object
of it is made in the zygote; `run` is called in a container's process, a fork of the zygote, once.
That of `wasi` is also called in the zygote's rehearsal, with guests that do nothing.
"""

from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

from wasm_executor.container.plan import Artifact, ProcessPlan

ENTRY_POINT_GROUP: Final = "wasmlet.runtimes"
SERVING_GROUP: Final = "wasmlet.runtimes.serving"
"""Names those of them that take the listening sockets of whatever they run."""


@runtime_checkable
class Runtime(Protocol):
    """One way to run guests."""

    def prepare(self) -> None:
        """Do, in the zygote, what every container's process would repeat.

        Import and make engines and linkers here. Make no Store, compile nothing and start no
        thread: a thread does not survive the fork, a random seed made here would repeat.
        """

    def accepts(self, artifact: Artifact) -> bool:
        """Whether this runtime can run the artifact, where nothing names a runtime."""

    def run(self, plan: ProcessPlan, on_started: Callable[[], None]) -> int:
        """Run the guest to its end and return its exit code.

        Stdin, stdout and stderr are this process's own. Call `on_started` once, right before
        the guest's first instruction; before it `GuestNotStartedError` says why there will be
        none. After it `GuestTrappedError` is the only way to end without an exit code.
        """
