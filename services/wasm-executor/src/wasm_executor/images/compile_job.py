"""Compile one artifact: `python -m wasm_executor.images.compile_job`, a CompileJob on stdin.

The compiler reads untrusted code before any sandbox exists, and small inputs can ask for hours
and gigabytes. So it runs in a process with hard limits, and what it makes is named by the digest
of what it read and by the engine's fingerprint. An EngineJob asks for that fingerprint alone.
"""

import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from podspec.interfaces import VERSION, others_in
from wasm_executor.images.errors import CompileError
from wasm_executor.images.jobprocess import (
    failure_of,
    leave,
    limit_cpu,
    limit_memory,
    read_job,
    take_stdout,
    tie_to_parent,
    write_result,
)
from wasm_executor.images.jobs import Compiled, CompileJob, EngineJob, EngineNamed, JobResult
from wasm_executor.images.layers.manifest import digest_of
from wasm_executor.images.records import ArtifactFacts, ArtifactKind, CompiledObject
from wasm_executor.images.store import ContentStore
from wasm_executor.images.wasmfile import check_wasm

_NO_MEMORY: Final = f"(os error {errno.ENOMEM})"
_NAMED: Final = 4

if TYPE_CHECKING:
    from wasm_executor.images.inspection import Inspection


def run(job: CompileJob) -> JobResult:
    try:
        return Compiled(compiled=_compile(job))
    except CompileError as error:
        return failure_of(error)
    except MemoryError:
        return failure_of(CompileError(job.limits.memory_problem()))


def _compile(job: CompileJob) -> CompiledObject:
    content = _binary_form(_read(job), job.wasm_path)
    kind = check_wasm(content)
    started_at = time.monotonic()
    from wasm_executor.runtimes.engine import engine_fingerprint

    code, seen = _compiled(kind, content)
    compiled = CompiledObject(
        digest=job.digest,
        engine=engine_fingerprint(),
        facts=ArtifactFacts(
            kind=kind,
            world=seen.world,
            wasi=seen.wasi,
            problems=seen.problems,
            imports=seen.imports,
            exports=seen.exports,
            host_types=seen.host_types,
            wasm_bytes=len(content),
            object_bytes=len(code),
            compile_s=time.monotonic() - started_at,
        ),
    )
    ContentStore(Path(job.store)).write_object(compiled, code)
    return compiled


def _read(job: CompileJob) -> bytes:
    """A local file may have changed since it was hashed: then ask again."""
    try:
        content = Path(job.wasm_path).read_bytes()
    except OSError as error:
        message = f"cannot read {job.wasm_path}: {error.strerror}"
        raise CompileError(message, retry=True) from error
    found = digest_of(content, job.digest.split(":", 1)[0])
    if found != job.digest:
        # A blob that a disk has spoilt goes, so that the next attempt pulls it again.
        ContentStore(Path(job.store)).remove_blob(job.digest)
        raise CompileError(f"the file has digest {found}, expected {job.digest}", retry=True)
    return content


def _binary_form(content: bytes, path: str) -> bytes:
    """Take a local file named `.wat` as text; what a registry gave has no such name."""
    if not path.endswith(".wat"):
        return content
    from wasmtime import WasmtimeError, wat2wasm

    try:
        return bytes(wat2wasm(content))
    except WasmtimeError as error:
        raise CompileError(f"invalid WebAssembly text: {_one_line(error)}") from error


def _compiled(kind: ArtifactKind, content: bytes) -> "tuple[bytearray, Inspection]":
    from wasmtime import Module, WasmtimeError
    from wasmtime.component import Component

    from wasm_executor.images.inspection import inspect_component, inspect_module
    from wasm_executor.runtimes.engine import new_engine

    engine = new_engine()
    try:
        if kind is ArtifactKind.COMPONENT:
            component = Component(engine, content)
            return component.serialize(), inspect_component(engine, component)
        module = Module(engine, content)
        return module.serialize(), inspect_module(engine, module)
    except WasmtimeError as error:
        if _NO_MEMORY in str(error):
            raise MemoryError from error
        raise CompileError(_refusal(kind, content, error)) from error


def _refusal(kind: ArtifactKind, content: bytes, error: Exception) -> str:
    """WASI 0.3 has types that this engine does not read: better told by its name than by theirs."""
    others = others_in(content) if kind is ArtifactKind.COMPONENT else []
    if others:
        made_for = f"made for {', '.join(others[:_NAMED])}: this engine runs WASI {VERSION}.x"
        return f"the component is {made_for} ({_one_line(error)})"
    return f"invalid WebAssembly {kind}: {_one_line(error)}"


def _one_line(error: Exception) -> str:
    """The compiler prints causes as an indented list."""
    lines = [line.strip() for line in str(error).splitlines()]
    return "; ".join(line for line in lines if line and line != "Caused by:")[:1000]


def main() -> None:
    stdout = take_stdout()
    job = read_job()
    tie_to_parent(job.parent_pid)
    if isinstance(job, EngineJob):
        from wasm_executor.runtimes.engine import engine_fingerprint

        write_result(EngineNamed(engine=engine_fingerprint()), stdout)
        leave(0)
    if not isinstance(job, CompileJob):
        leave(2)
    os.nice(job.limits.nice)
    limit_cpu(job.limits.cpu_s)
    limit_memory(job.limits.memory_bytes)
    write_result(run(job), stdout)
    leave(0)


if __name__ == "__main__":
    main()
