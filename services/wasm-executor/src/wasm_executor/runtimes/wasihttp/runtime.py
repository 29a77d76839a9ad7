"""The `wasi-http` runtime itself: from a plan to workers that serve its ports."""

from collections.abc import Callable
from typing import Any, Final, NoReturn

from wasmtime import Engine, Store, WasmtimeError
from wasmtime.component import Component

from wasm_executor.container.needs import Need
from wasm_executor.container.plan import HTTP_WORLD, Artifact, ArtifactKind, HttpPlan, ProcessPlan
from wasm_executor.runtimes.engine import new_engine
from wasm_executor.runtimes.limits import memory_ceiling
from wasm_executor.runtimes.startfailures import (
    NO_INSTANCES,
    no_entry,
    not_linked,
    other_wasi,
    unusable,
)
from wasm_executor.runtimes.wasihttp.absent import define_absent
from wasm_executor.runtimes.wasihttp.files import folders_of
from wasm_executor.runtimes.wasihttp.guests import (
    HANDLER,
    HOST_TYPES,
    KNOWN,
    Handlers,
    World,
    new_linker,
)
from wasm_executor.runtimes.wasihttp.outgoing import Outgoing
from wasm_executor.runtimes.wasihttp.policy import Policy
from wasm_executor.runtimes.wasihttp.pooling import PLACES, pool_here
from wasm_executor.runtimes.wasihttp.serving import Worker
from wasm_executor.runtimes.wasihttp.shapes import others
from wasm_executor.runtimes.wasihttp.trust import trust_of
from wasm_executor.runtimes.wasihttp.workers import Workers

HANDLE: Final = "handle"
_WORLD: Final = tuple(
    f"wasi:{package}/"
    for package in ("cli", "clocks", "filesystem", "http", "io", "random", "sockets")
)
"""What a handler may import. What of it there is not traps where it is called."""


class WasiHttpRuntime:
    """Serves components that export `wasi:http/incoming-handler`."""

    needs = frozenset({Need.SERVE, Need.WORKERS, Need.CONNECT})
    """What a container of it may do, beside what all may."""

    def prepare(self) -> None:
        self._use(new_engine(pool_here()))

    def _use(self, engine: Engine) -> None:
        self._engine = engine
        self._linker, self._imports = new_linker(engine)

    def accepts(self, artifact: Artifact) -> bool:
        return artifact.world == HTTP_WORLD

    def run(self, plan: ProcessPlan, on_started: Callable[[], None]) -> int:
        if plan.artifact.kind is not ArtifactKind.COMPONENT:
            raise no_entry(
                "`wasi-http` serves components, and this is a module: one that is a command wants "
                "a RuntimeClass whose handler is `wasi` (wasmtime-wasi), one that answers as a CGI "
                "program `wagi` (wasmtime-wagi)"
            )
        http = plan.http
        if http is None:
            raise no_entry("the component handles HTTP requests: it is no command")
        if not plan.listeners:
            raise no_entry("the container declares no TCP containerPort to be served on")
        component = self._loaded(plan.artifact.path, http)
        function = self._handler_of(component)
        self._require_imports(component, plan.artifact.host_types)
        folders = folders_of(plan.preopens)
        world = World(
            list(plan.args),
            list(plan.env),
            Outgoing(Policy(http.allowed_hosts, http.node_hosts), trust_of(plan.env, folders)),
            folders,
            memory_ceiling(plan),
        )

        def serve(control: int) -> NoReturn:
            handlers = Handlers(self._engine, self._linker, component, function, world)
            Worker(handlers, http, plan.listeners, control).run()

        return Workers(http.workers, plan.listeners, serve).run(on_started)

    def _loaded(self, path: str, http: HttpPlan) -> Component:
        """Load it; what does not fit into the pool gets an engine without one."""
        if http.concurrency <= PLACES:
            try:
                return Component.deserialize_file(self._engine, path)
            except WasmtimeError:
                pass  # too large for a place, or unusable: then it is so without a pool, too
        self._use(new_engine())
        try:
            return Component.deserialize_file(self._engine, path)
        except WasmtimeError as error:
            raise unusable(error) from error

    def _handler_of(self, component: Component) -> Any:
        interface = component.get_export_index(HANDLER)
        function = interface and component.get_export_index(HANDLE, interface)
        if function is None:
            raise other_wasi("exports", component.type.exports(self._engine)) or no_entry(
                "the component does not export `wasi:http/incoming-handler`"
            )
        return function

    def _require_imports(self, component: Component, host_types: str) -> None:
        """Link it in a store that may hold no instance: none of its code can run there.

        What the compiler has compared with these very types is not compared again.
        """
        imports = component.type.imports(self._engine)
        missing = tuple(name for name in imports if not name.startswith(_WORLD))
        if missing:
            raise no_entry(f"nothing provides what the component imports: {', '.join(missing)}")
        if (other := other_wasi("imports", imports)) is not None:
            raise other
        if host_types != HOST_TYPES:
            for function in others(component, self._engine, KNOWN):
                raise no_entry(f"the component imports `{function}` with types that are not WASI's")
        define_absent(self._imports, component, self._engine)
        nowhere = Store(self._engine)
        nowhere.set_limits(instances=0)
        try:
            self._linker.instantiate(nowhere, component)
        except WasmtimeError as error:
            if NO_INSTANCES not in str(error):
                raise not_linked(error, ()) from error
