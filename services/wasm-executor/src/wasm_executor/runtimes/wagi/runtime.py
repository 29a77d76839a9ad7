"""The `wagi` runtime itself: from a plan to workers that serve its ports."""

import socket
from collections.abc import Callable
from typing import NoReturn

from wasm_executor.container.needs import Need
from wasm_executor.container.plan import Artifact, ArtifactKind, HttpPlan, ProcessPlan, Route
from wasm_executor.runtimes.engine import new_engine
from wasm_executor.runtimes.startfailures import no_entry
from wasm_executor.runtimes.wagi.asking import Asking
from wasm_executor.runtimes.wagi.handling import CgiHandlers
from wasm_executor.runtimes.wagi.programs import Program
from wasm_executor.runtimes.wagi.routes import EVERYTHING, RoutesError, with_own
from wasm_executor.runtimes.wasihttp.errors import HandlerEndedError
from wasm_executor.runtimes.wasihttp.files import folders_of
from wasm_executor.runtimes.wasihttp.outgoing import Outgoing
from wasm_executor.runtimes.wasihttp.policy import Policy
from wasm_executor.runtimes.wasihttp.serving import Worker
from wasm_executor.runtimes.wasihttp.trust import trust_of
from wasm_executor.runtimes.wasihttp.workers import Workers
from wasm_executor.runtimes.wasimodules import new_module_linker


class WagiRuntime:
    """Serves WASI 0.1 modules, a process for each request."""

    needs = frozenset({Need.SERVE, Need.WORKERS, Need.CONNECT})
    """What a container of it may do, beside what all may."""

    def prepare(self) -> None:
        self._engine = new_engine()
        self._linker = new_module_linker(self._engine)
        self._asking = Asking()
        self._asking.define(self._linker)

    def accepts(self, artifact: Artifact) -> bool:  # noqa: ARG002 - the interface's
        """Nothing unasked: a module with `_start` is a command unless its pod says otherwise."""
        return False

    def run(self, plan: ProcessPlan, on_started: Callable[[], None]) -> int:
        http = _served(plan)
        trust = trust_of(plan.env, folders_of(plan.preopens))
        outgoing = Outgoing(Policy(http.allowed_hosts, http.node_hosts), trust)
        program = Program(self._engine, self._linker, plan, self._asking, outgoing)
        routes = http.routes or (EVERYTHING,)
        program.require([each.entrypoint for each in routes])
        with socket.socket(fileno=socket.dup(plan.listeners[0])) as first:
            port = first.getsockname()[1]

        def serve(control: int) -> NoReturn:
            if http.allowed_hosts:
                trust.context()  # read once: a request's process could not open the file any more
            handlers = CgiHandlers(program, _all_routes(program, routes), port)
            Worker(handlers, http, plan.listeners, control).run()

        return Workers(http.workers, plan.listeners, serve).run(on_started)


def _served(plan: ProcessPlan) -> HttpPlan:
    if plan.artifact.kind is not ArtifactKind.MODULE:
        raise no_entry(
            "`wagi` runs WASI 0.1 modules, and this is a component: one that handles HTTP "
            "requests wants a RuntimeClass whose handler is `wasi-http` (wasmtime-wasi-http)"
        )
    if plan.http is None:
        raise no_entry("the module handles requests: it is no command")
    if not plan.listeners:
        raise no_entry("the container declares no TCP containerPort to be served on")
    return plan.http


def _all_routes(program: Program, routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """Add what the module itself says; it is asked once in each worker."""
    try:
        own = program.own_routes()
    except HandlerEndedError as error:
        raise RoutesError(f"`_routes` has failed: {error}") from error
    added = tuple(one for each in routes for one in with_own(each, own))
    program.require([each.entrypoint for each in added])
    return added
