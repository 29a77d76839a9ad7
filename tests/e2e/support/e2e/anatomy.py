"""Which process of a running wasmlet is what: services, the executor's own three, containers."""

import time
from collections.abc import Callable
from enum import StrEnum

from e2e.expectations import eventually
from e2e.processes import Process, all_processes, process_of
from e2e.running_wasmlet import RunningWasmlet

RESTARTED_WITHIN_S = 20.0
PASSED_WITHIN_S = 10.0
_PASSING_S = 0.2
"""A probe or a hook runs in a process like a container's, which is gone again sooner than this."""
_GUEST, _SPARE, _ZYGOTE = "wasmlet-guest", "wasmlet-spare", "wasmlet-zygote"


class Part(StrEnum):
    """Each kind of process that may die alone. Containers are found by `containers`."""

    REGISTRAR = "node_registrar"
    RECONCILER = "pod_reconciler"
    LOG_SERVER = "log_server"
    NATS = "nats-server"
    KEEPER = "wasm_executor"
    ZYGOTE = "wasm_executor.zygote"
    SUPERVISOR = "wasm_executor.supervisor"


INSIDE_EXECUTOR = (Part.ZYGOTE, Part.SUPERVISOR)


class Anatomy:
    """The processes below one `wasmlet up`, looked up anew at each question."""

    def __init__(self, wasmlet: RunningWasmlet) -> None:
        self.up = process_of(wasmlet.process.pid)

    def find(self, part: Part, node: str = "") -> Process | None:
        """The part's process, if there is one now; of `node`, where there is one per node."""
        parents = self._keepers(node) if part in INSIDE_EXECUTOR else [self.up]
        candidates = [child for parent in parents for child in parent.children()]
        if part is Part.KEEPER:
            candidates = self._keepers(node)
        found = [each for each in candidates if _is(part, each)]
        assert len(found) < 2, f"{part} runs twice: {found}"
        return found[0] if found else None

    def get(self, part: Part, node: str = "") -> Process:
        """The part's process, as soon as there is one."""
        return self._await(part, node, None)

    def kill(self, part: Part, node: str = "") -> Process:
        """Kills it -9; returns who it was."""
        victim = self.get(part, node)
        victim.kill()
        return victim

    def await_successor(self, part: Part, victim: Process, node: str = "") -> Process:
        """Who took the place of a process that was killed."""
        return self._await(part, node, victim)

    def _await(self, part: Part, node: str, other_than: Process | None) -> Process:
        def ask() -> Process:
            found = self.find(part, node)
            assert found is not None, f"there is no {part}"
            assert found != other_than, f"{part} still lives"
            return found

        return eventually(ask, RESTARTED_WITHIN_S)

    def containers(self, node: str = "") -> frozenset[Process]:
        """The containers of the living keepers.

        Under load something that passes may be among them, so ask again. One that is missing is
        gone: no other process has its pid and start.
        """
        return _lasting(
            lambda: frozenset(
                child
                for keeper in self._keepers(node)
                for child in keeper.children()
                if child.name == _GUEST
            )
        )

    def await_containers(self, expected: frozenset[Process], node: str = "") -> None:
        """Exactly these run; what runs besides has to pass, what is missing never comes back."""
        lost = expected - self.containers(node)
        assert not lost, f"{len(lost)} of {len(expected)} containers are lost"
        eventually(lambda: self.containers(node) == expected, PASSED_WITHIN_S)

    def await_more(
        self, than: frozenset[Process], count: int, node: str = ""
    ) -> frozenset[Process]:
        """So many containers beside these, as soon as nothing else runs."""

        def ask() -> frozenset[Process]:
            more = self.containers(node) - than
            assert len(more) == count, f"{len(more)} more run"
            return more

        return eventually(ask, PASSED_WITHIN_S)

    def await_count(self, count: int, node: str = "") -> frozenset[Process]:
        """So many containers, as soon as nothing else runs."""
        return self.await_more(frozenset(), count, node)

    def spares(self) -> frozenset[Process]:
        """Processes that wait to become a container."""
        found = [child for keeper in self._keepers("") for child in keeper.children()]
        return frozenset(each for each in found if each.name == _SPARE)

    def _keepers(self, node: str) -> list[Process]:
        return [
            child
            for child in self.up.children()
            if _is(Part.KEEPER, child)
            and (not node or child.environment.get("WASMLET_NODE_NAME") == node)
        ]


def guests_of(keeper: Process) -> frozenset[Process]:
    """Containers that this keeper began, living or not itself: whoever is their parent now."""
    return _lasting(lambda: frozenset(each for each in offspring_of(keeper) if each.name == _GUEST))


def _lasting(look: Callable[[], frozenset[Process]]) -> frozenset[Process]:
    """What is there twice."""
    first = look()
    if not first:
        return first
    time.sleep(_PASSING_S)
    return first & look()


def offspring_of(keeper: Process) -> frozenset[Process]:
    """Its zygote and what that has forked, spare ones too: they share one command line."""
    began = str(keeper.pid)
    return frozenset(
        each
        for each in all_processes()
        # Read once: a process may be gone at the next look.
        if Part.ZYGOTE in (arguments := each.arguments) and arguments[-1] == began
    )


def _is(part: Part, process: Process) -> bool:
    arguments = process.arguments
    if part is Part.NATS:
        return bool(arguments) and arguments[0].endswith(part)
    if part is Part.ZYGOTE and process.name != _ZYGOTE:
        return False  # forked from it, so it has its command line
    return ["-m", part.value] in [arguments[at : at + 2] for at in range(len(arguments))]
