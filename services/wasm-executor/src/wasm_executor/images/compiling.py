"""Compilations for the supervisor: once per content and engine, in a process with limits.

A verdict on content that cannot be compiled is repeated for a while instead of being renewed: a
deployment of a compile bomb must not keep the machine busy.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from servicekit.tracing import step
from wasm_executor.images.errors import CompileError
from wasm_executor.images.index import ImageIndex
from wasm_executor.images.jobrunner import (
    COMPILE,
    JobCrashedError,
    JobRunner,
    JobTimedOutError,
    own_pid,
    signal_name,
)
from wasm_executor.images.jobs import (
    Compiled,
    CompileJob,
    CompileLimits,
    EngineJob,
    EngineNamed,
    JobFailed,
)
from wasm_executor.images.policy import OnEvent, compiling, ignore
from wasm_executor.images.records import ArtifactFacts, CompiledObject, World
from wasm_executor.images.settings import ImageSettings
from wasm_executor.images.singleflight import SingleFlight
from wasm_executor.images.store import ContentStore
from wasm_executor.images.wasmfile import HEADER_BYTES, kind_of_header

log = structlog.get_logger(__name__)

_ENGINE_TIMEOUT_S: Final = 60.0
_VERDICTS: Final = 1024


async def engine_of_this_machine(store: ContentStore) -> str:
    """Ask a job: to import the engine here would cost memory for ever."""
    job = EngineJob(parent_pid=own_pid())
    result = await JobRunner(store).run(COMPILE, job, timeout_s=_ENGINE_TIMEOUT_S)
    if not isinstance(result, EngineNamed):
        raise CompileError(f"the engine has no name: {result}")
    return result.engine


def uncompiled(image: str, digest: str, wasm: Path) -> CompiledObject:
    """Return what a look at the header tells, for runtimes with an engine of their own. Blocks."""
    try:
        with wasm.open("rb") as file:
            kind = kind_of_header(file.read(HEADER_BYTES))
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        message = f'cannot read the module of image "{image}": {error.strerror}'
        raise CompileError(message, retry=True) from error
    except CompileError as error:
        raise CompileError(f'no module in image "{image}": {error.message}') from error
    facts = ArtifactFacts(
        kind=kind, world=World.NONE, wasm_bytes=size, object_bytes=0, compile_s=0.0
    )
    return CompiledObject(digest=digest, engine="", facts=facts)


class Compiler:
    """Finds or makes the compiled object of some content."""

    def __init__(
        self,
        settings: ImageSettings,
        tasks: asyncio.TaskGroup,
        *,
        store: ContentStore,
        index: ImageIndex,
    ) -> None:
        self._settings = settings
        self._store = store
        self._index = index
        self._runner = JobRunner(store)
        self._turns = asyncio.Semaphore(settings.compile_jobs)
        self._flights: SingleFlight[str, CompiledObject] = SingleFlight(tasks, "images.compile")
        self._verdicts: dict[str, tuple[float, str]] = {}

    async def compiled(
        self, image: str, digest: str, wasm: Path, on_event: OnEvent = ignore
    ) -> CompiledObject:
        """Return the object for this content, or raise `CompileError` that names the image.

        Who waits long is told by an Event what for; few do, so that most pods have none of it.
        """
        compiled = self._index.find_object(digest)
        if compiled is not None:
            return compiled
        try:
            self._repeat_verdict(digest)
            with (
                step("image.compile", {"container.image.name": image}),
                self._patience(lambda: on_event(compiling(image))),
            ):
                return await self._flights.do(digest, lambda: self._compile(digest, wasm))
        except CompileError as error:
            message = f'failed to compile image "{image}": {error.message}'
            raise CompileError(message, retry=error.retry) from error

    @contextmanager
    def _patience(self, tell: Callable[[], None]) -> Iterator[None]:
        """Call this if the block takes long."""
        timer = asyncio.get_running_loop().call_later(self._settings.slow_compile_s, tell)
        try:
            yield
        finally:
            timer.cancel()

    async def _compile(self, digest: str, wasm: Path) -> CompiledObject:
        async with self._turns:
            try:
                compiled = await self._run(digest, wasm)
            except CompileError as error:
                log.warning("image.compile_failed", digest=digest, problem=error.message)
                self._remember(digest, error)
                raise
        self._index.add_object(compiled)
        facts = compiled.facts
        log.info("image.compiled", digest=digest, kind=facts.kind, duration_s=facts.compile_s)
        return compiled

    async def _run(self, digest: str, wasm: Path) -> CompiledObject:
        limits = self._settings.compile_limits
        job = CompileJob(
            wasm_path=str(wasm),
            digest=digest,
            store=str(self._store.root),
            parent_pid=own_pid(),
            limits=limits,
        )
        try:
            result = await self._runner.run(COMPILE, job, timeout_s=limits.total_timeout_s)
        except JobTimedOutError as error:
            raise CompileError(f"not done after {limits.total_timeout_s:g}s") from error
        except JobCrashedError as error:
            raise _crash(error, limits) from error
        except OSError as error:
            raise CompileError(f"cannot start the compiler: {error}", retry=True) from error
        match result:
            case Compiled():
                return result.compiled
            case JobFailed():
                raise CompileError(result.message, retry=result.retry)
            case _:
                raise CompileError(f"the compiler answered {type(result).__name__}")

    def _remember(self, digest: str, error: CompileError) -> None:
        if error.retry:
            return
        if len(self._verdicts) >= _VERDICTS:
            self._verdicts.clear()
        until = asyncio.get_running_loop().time() + self._settings.broken_for_s
        self._verdicts[digest] = (until, error.message)

    def _repeat_verdict(self, digest: str) -> None:
        until, message = self._verdicts.get(digest, (0.0, ""))
        if asyncio.get_running_loop().time() < until:
            raise CompileError(message)
        self._verdicts.pop(digest, None)


def _crash(error: JobCrashedError, limits: CompileLimits) -> CompileError:
    """Say which limit was met, where the way it ended tells."""
    if error.signal == signal.SIGXCPU:
        return CompileError(f"more than {limits.cpu_s}s of CPU time needed")
    if error.signal == signal.SIGKILL:  # which says nothing of the content: it may be tried again
        most = limits.memory_bytes >> 20
        message = f"the compiler was killed, as where memory is short (it may take {most} MiB)"
        return CompileError(message, retry=True)
    if "memory" in error.stderr.lower():
        return CompileError(limits.memory_problem())
    how = signal_name(error.signal) if error.signal else "an error"
    return CompileError(f"the compiler ended with {how}: {error.last_line}")
