"""Compilations: what is refused and how, what a bomb may cost, and what is told of a good one."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from typed_handlers import OTHERS, WASIS, handler
from wasmtime import Module, wat2wasm
from wasmtime.component import Component

from contract.messages.pull import PullPolicy
from wasm_executor.images.errors import CompileError
from wasm_executor.images.jobs import CompileLimits
from wasm_executor.images.policy import ImageEvent
from wasm_executor.images.puller import ImageService
from wasm_executor.images.records import ArtifactKind, World
from wasm_executor.runtimes.engine import engine_fingerprint, new_engine
from wasm_executor.runtimes.wasihttp.guests import HOST_TYPES

POLICY = PullPolicy.IF_NOT_PRESENT
RUN = """(component
  (core module $m (func (export "run") (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))"""

type OpenImages = Callable[..., AbstractAsyncContextManager[ImageService]]
type WriteModule = Callable[..., str]


@pytest.fixture
def open_local(open_images: OpenImages, tmp_path: Path) -> OpenImages:
    return lambda **settings: open_images(local_folders=(tmp_path / "modules",), **settings)


async def problem(images: ImageService, image: str) -> str:
    """The part of a compile error's message that differs."""
    with pytest.raises(CompileError) as caught:
        await images.ensure(image, POLICY)
    assert caught.value.reason == "CreateContainerError"
    start = f'failed to compile image "{image}": '
    assert caught.value.message.startswith(start)
    return caught.value.message.removeprefix(start)


async def test_the_object_loads_into_the_engine_of_the_containers(
    open_local: OpenImages, module: WriteModule
) -> None:
    async with open_local() as images:
        prepared = await images.ensure(module(), POLICY)
        component = await images.ensure(module(RUN, "c"), POLICY)
    Module.deserialize_file(new_engine(), str(prepared.aot_path))
    Component.deserialize_file(new_engine(), str(component.aot_path))
    assert prepared.aot_path.parent.name == engine_fingerprint()
    assert (prepared.facts.kind, prepared.facts.world) == (ArtifactKind.MODULE, World.COMMAND)
    assert (component.facts.kind, component.facts.world) == (ArtifactKind.COMPONENT, World.COMMAND)
    assert component.facts.wasi == "0.2"
    assert prepared.facts.problems == component.facts.problems == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"#!/bin/sh\necho hello\n", "not WebAssembly"),
        (bytes(wat2wasm('(module (func (export "_start")))'))[:-3], "truncated: the section"),
        (b"\0asm\x01\0\0\0\x01\x01\xff", "invalid WebAssembly module: "),
        (b"\0asm\x0d\0\x01\0\x01\x01\xff", "invalid WebAssembly component: "),
    ],
)
async def test_what_is_no_wasm_is_told_apart_from_half_a_file(
    open_local: OpenImages, module: WriteModule, content: bytes, words: str
) -> None:
    seen: list[ImageEvent] = []
    image = module(content)
    async with open_local() as images:
        text = await problem(images, image)
        with pytest.raises(CompileError):
            await images.ensure(image, POLICY, on_event=seen.append)
    assert text.startswith(words)
    assert "\n" not in text
    assert seen[-1].message == f'Error: failed to compile image "{image}": {text}'


@pytest.mark.parametrize(
    ("source", "problems"),
    [
        ("(module)", ('unknown export: the module has no function "_start"',)),
        (
            '(module (func (export "_start") (param i32)))',
            ('"_start" is not a function without parameters and results',),
        ),
        (
            '(module (import "env" "host" (func)) (func (export "_start")))',
            ("unknown import: `env::host` has not been defined",),
        ),
        (
            '(module (import "wasi_snapshot_preview1" "nope" (func)) (func (export "_start")))',
            ("unknown import: `wasi_snapshot_preview1::nope` has not been defined",),
        ),
        ("(component)", ("unknown export: the component has no `wasi:cli/run@0.2`",)),
        (
            '(component (import "team:app/thing@1.0.0" (instance)))',
            (
                "unknown import: `team:app/thing@1.0.0` has not been defined",
                "unknown export: the component has no `wasi:cli/run@0.2`",
            ),
        ),
    ],
)
async def test_what_could_not_start_compiles_and_says_why_beforehand(
    open_local: OpenImages, module: WriteModule, source: str, problems: tuple[str, ...]
) -> None:
    async with open_local() as images:
        prepared = await images.ensure(module(source), POLICY)
    assert prepared.facts.problems == problems


async def test_a_handler_s_types_are_compared_once_and_what_differs_is_never_vouched_for(
    open_local: OpenImages, module: WriteModule
) -> None:
    images = {"wasis": WASIS, **{f"other-{n}": case[:2] for n, case in enumerate(OTHERS.values())}}
    async with open_local() as service:
        found = {
            name: (await service.ensure(module(handler(*case), name), POLICY)).facts.host_types
            for name, case in images.items()
        }
        assert (await service.ensure(module(RUN, "run"), POLICY)).facts.host_types == ""
    assert found == dict.fromkeys(images, "") | {"wasis": HOST_TYPES}


async def test_a_component_of_a_later_wasi_is_told_from_a_broken_one(
    open_local: OpenImages, module: WriteModule
) -> None:
    later = '(component (import "wasi:clocks/system@0.3.0" (instance (export "f" (func async)))))'
    own = later.replace("wasi:clocks/system@0.3.0", "team:app/thing@0.3.0")
    async with open_local() as images:
        told = await problem(images, module(later, "later"))
        assert (await problem(images, module(own, "own"))).startswith("invalid WebAssembly")
    said = "the component is made for wasi:clocks/system@0.3.0: this engine runs WASI 0.2.x (failed"
    assert told.startswith(said)


async def test_everybody_who_waits_long_for_a_compilation_is_told_once(
    open_local: OpenImages, module: WriteModule
) -> None:
    image = module()
    waiters: list[list[ImageEvent]] = [[], []]
    async with open_local(slow_compile_s=0.001) as images:
        async with asyncio.TaskGroup() as tasks:
            for seen in waiters:
                waiting = images.ensure(image, POLICY, on_event=seen.append)
                tasks.create_task(waiting, name="waiting")
        warm: list[ImageEvent] = []
        await images.ensure(image, POLICY, on_event=warm.append)
    assert [[each.reason for each in seen] for seen in waiters] == [["Pulled", "Compiling"]] * 2
    assert waiters[0][1].message == f'Compiling image "{image}", once for this node'
    assert [each.reason for each in warm] == ["Pulled"]


async def test_a_quick_compilation_is_no_news(open_local: OpenImages, module: WriteModule) -> None:
    seen: list[ImageEvent] = []
    async with open_local(slow_compile_s=60.0) as images:
        await images.ensure(module(), POLICY, on_event=seen.append)
    assert [each.reason for each in seen] == ["Pulled"]


def bomb(functions: int) -> bytes:
    """Small to write, long to compile: many functions with many branches."""
    body = "(block " * 100 + "(br_if 0 (local.get 0)) " * 300 + ")" * 100
    return bytes(
        wat2wasm(f"(module {' '.join(f'(func (param i32) {body})' for _ in range(functions))})")
    )


async def test_a_compilation_that_needs_too_much_cpu_ends_and_is_not_begun_again(
    open_local: OpenImages, module: WriteModule
) -> None:
    image = module(bomb(3000))
    async with open_local(compile_limits=CompileLimits(cpu_s=1)) as images:
        started_at = time.monotonic()
        assert await problem(images, image) == "more than 1s of CPU time needed"
        first_s = time.monotonic() - started_at
        assert await problem(images, image) == "more than 1s of CPU time needed"
        assert time.monotonic() - started_at < 1.5 * first_s
        assert (await images.ensure(module(name="good"), POLICY)).facts.problems == ()


async def test_a_compiler_that_is_killed_says_nothing_of_the_content(
    open_local: OpenImages, module: WriteModule
) -> None:
    """As a machine does that lacks memory; once it has some, the same content is compiled."""
    image = module(bomb(1000))
    async with open_local() as images, asyncio.timeout(50), asyncio.TaskGroup() as tasks:
        failing = tasks.create_task(problem(images, image), name="failing")
        while not (jobs := processes(b"compile_job")):
            await asyncio.sleep(0.01)
        os.kill(jobs[0], signal.SIGKILL)
        told = "the compiler was killed, as where memory is short (it may take 2048 MiB)"
        assert await failing == told
        assert (await images.ensure(image, POLICY)).facts.kind is ArtifactKind.MODULE


@pytest.mark.parametrize("mebibytes", [48, 64, 96])
async def test_a_compilation_that_needs_too_much_memory_ends(
    open_local: OpenImages, module: WriteModule, mebibytes: int
) -> None:
    limits = CompileLimits(memory_bytes=mebibytes << 20)
    async with open_local(compile_limits=limits) as images:
        assert (
            await problem(images, module(bomb(4500)))
            == f"more than {mebibytes} MiB of memory needed"
        )


async def test_a_compilation_has_an_end_on_the_clock_too(
    open_local: OpenImages, module: WriteModule
) -> None:
    limits = CompileLimits(total_timeout_s=0.5)
    async with open_local(compile_limits=limits) as images:
        assert await problem(images, module(bomb(3000))) == "not done after 0.5s"
    assert processes(b"compile_job") == []


async def test_a_verdict_is_renewed_after_its_time(
    open_local: OpenImages, module: WriteModule
) -> None:
    image = module(b"\0asm\x01\0\0\0\x01\x01\xff")
    async with open_local(broken_for_s=0.0) as images:
        first = await problem(images, image)
        assert await problem(images, image) == first


async def test_an_object_that_was_lost_is_made_again(
    open_local: OpenImages, module: WriteModule
) -> None:
    image = module()
    async with open_local() as images:
        first = await images.ensure(image, POLICY)
        first.aot_path.unlink()
        again = await images.ensure(image, POLICY)
        assert again.aot_path.exists()
        await images.forget_compiled(again)
        assert not again.aot_path.exists()
        assert (await images.ensure(image, POLICY)).aot_path.exists()


async def test_a_hundred_warm_starts_cost_less_than_one_cold_one(
    open_local: OpenImages, module: WriteModule
) -> None:
    image = module()
    async with open_local() as images:
        started_at = time.perf_counter()
        await images.ensure(image, POLICY)
        cold_s = time.perf_counter() - started_at
        for _ in range(100):
            await images.ensure(image, POLICY)
        assert time.perf_counter() - started_at < 2 * cold_s


def processes(name: bytes) -> list[int]:
    """Our own children with this word in their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            command = (folder / "cmdline").read_bytes()
            status = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if name in command and int(status[1]) == os.getpid() and status[0] != "Z":
            found.append(int(folder.name))
    return found
