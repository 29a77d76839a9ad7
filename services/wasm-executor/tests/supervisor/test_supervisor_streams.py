"""Exec over the bus: output by number, input by offset, and an end in every case."""

import asyncio
import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from executor_rig import Rig, executor_rig, kill_supervisor

from contract.errors import CommandError
from contract.messages.pod import PodPlan
from contract.messages.stream import (
    ExecOpen,
    StreamChunk,
    StreamClose,
    StreamEnd,
    StreamRead,
    StreamTaken,
    StreamWrite,
)


class Exec:
    """One exec, as a log-server drives it."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.name = uuid.uuid4().hex
        self.number = 0
        self.offset = 0

    async def open(self, plan: PodPlan, *command: str, **options: Any) -> None:
        names = {"namespace": plan.namespace, "pod": plan.name, "container": "c"}
        given = {"stdin": True, "stdout": True, "stderr": True, **names, **options}
        await self._rig.peer.ask(ExecOpen(stream=self.name, command=command, **given))

    async def read(self, *, wait_s: float = 5.0, **options: Any) -> StreamChunk:
        ask = StreamRead(stream=self.name, number=self.number, wait_s=wait_s, **options)
        chunk = await self._rig.peer.ask(ask, timeout_s=10)
        self.number += 1
        return chunk

    async def write(self, data: bytes, *, end: bool = False) -> StreamTaken:
        ask = StreamWrite(stream=self.name, offset=self.offset, data=data, end=end)
        taken = await self._rig.peer.ask(ask, timeout_s=10)
        self.offset = taken.offset
        return taken

    async def rest(self) -> tuple[bytes, bytes, StreamEnd]:
        out, err = b"", b""
        while True:
            chunk = await self.read()
            out, err = out + chunk.out, err + chunk.err
            if chunk.end is not None:
                return out, err, chunk.end


async def started(rig: Rig) -> PodPlan:
    plan = rig.plan("commands")
    await rig.peer.apply(plan)
    await rig.peer.running(plan)
    return plan


async def until_alone(rig: Rig) -> None:
    """Wait until the container's own process is the only one."""
    await rig.peer.until(lambda: len(rig.executor.container_pids()) == 1)


async def test_output_errors_and_exit_code_come_apart(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = await started(rig)
        one = Exec(rig)
        await one.open(plan, "commands.wasm", "out", stdin=False)
        assert await one.rest() == (b"out\n", b"err\n", StreamEnd(exit_code=3))
        again = Exec(rig)
        await again.open(plan, "commands.wasm", "out", stderr=False)
        assert await again.rest() == (b"out\n", b"", StreamEnd(exit_code=3))
        absent = Exec(rig)
        await absent.open(plan, "sh")
        out, err, end = await absent.rest()
        assert (out, err) == (b"", b"")
        assert end.failure == 'exec: "sh": executable file not found in $PATH'


async def test_module_that_a_program_of_the_machine_runs_is_neither_run_again_nor_compiled(
    tmp_path: Path,
) -> None:
    """Neither by who started it, nor after a take-over. `tail` stands for an engine."""
    files = tmp_path / "runtimes"
    files.mkdir()
    (files / "elsewhere.toml").write_text(
        'program = "tail"\ncommand = ["-c", "0", "-f", "${MODULE}"]'
    )
    async with executor_rig(tmp_path, EXTERNAL_RUNTIMES_DIR=str(files)) as rig:
        plan = rig.plan("commands", runtime_handler="elsewhere")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        for restarted in (False, True):
            if restarted:
                await kill_supervisor(rig)
            one = Exec(rig)
            await one.open(plan, "commands.wasm", "out")
            failure = (await one.rest())[2].failure
            assert failure == (
                'exec: "commands.wasm": a runtime program of the machine runs this module, '
                "once for a container"
            )
        assert not list((tmp_path / "data").rglob("*.cwasm"))


async def test_input_is_taken_once_however_often_it_is_sent(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = await started(rig)
        one = Exec(rig)
        await one.open(plan, "commands.wasm", "echo")
        await one.write(b"hello ")
        one.offset = 0
        await one.write(b"hello world", end=True)
        one.offset = 0
        assert (await one.write(b"hello world", end=True)).offset == len(b"hello world")
        first = await one.read(max_bytes=3)
        one.number -= 1
        assert await one.read(max_bytes=3) == first, "the same number is the same chunk"
        out, err, end = await one.rest()
        assert (first.out + out, err, end) == (b"hello world", b"", StreamEnd())
        one.number += 7
        with pytest.raises(CommandError, match="is not there"):
            await one.read()


async def test_a_megabyte_comes_back_whole_and_waits_for_its_reader(tmp_path: Path) -> None:
    content = os.urandom(1 << 20)
    async with executor_rig(tmp_path) as rig:
        plan = await started(rig)
        one = Exec(rig)
        await one.open(plan, "commands.wasm", "echo")

        async def write() -> None:
            while one.offset < len(content):
                piece = content[one.offset : one.offset + 200_000]
                await one.write(piece, end=one.offset + len(piece) == len(content))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(write())
            out, _, end = await one.rest()
        assert out == content
        assert end == StreamEnd()


async def test_a_terminal_edits_lines_and_joins_both_outputs(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = await started(rig)
        one = Exec(rig)
        await one.open(plan, "commands.wasm", "out", tty=True)
        assert await one.rest() == (b"out\r\nerr\r\n", b"", StreamEnd(exit_code=3))
        typed = Exec(rig)
        await typed.open(plan, "commands.wasm", "echo", tty=True)
        await typed.write(b"hx\x7fi\r\x04")
        out, _, end = await typed.rest()
        assert out == b"hx\b \bi\r\nhi\r\n"
        assert end == StreamEnd()
        stopped = Exec(rig)
        await stopped.open(plan, "commands.wasm", "flood", tty=True)
        await rig.peer.until(lambda: len(rig.executor.container_pids()) == 2)
        await stopped.write(b"\x03")
        assert (await stopped.rest())[2] == StreamEnd(exit_code=130)
        await until_alone(rig)


async def test_a_closed_stream_and_one_that_nobody_reads_leave_no_process(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, STREAM_LEASE_S="1") as rig:
        plan = await started(rig)
        closed, left, kept = Exec(rig), Exec(rig), Exec(rig)
        await closed.open(plan, "commands.wasm", "flood")
        await kept.open(plan, "commands.wasm", "echo")
        await rig.peer.until(lambda: len(rig.executor.container_pids()) == 3)
        await rig.peer.ask(StreamClose(stream=closed.name))
        await rig.peer.until(lambda: len(rig.executor.container_pids()) == 2)
        with pytest.raises(CommandError, match="has ended"):
            await closed.read()
        await rig.peer.ask(StreamClose(stream=closed.name))
        await left.open(plan, "commands.wasm", "flood")
        await rig.peer.until(lambda: len(rig.executor.container_pids()) == 3)
        async with asyncio.timeout(10):
            while len(rig.executor.container_pids()) == 3:  # an empty write keeps a stream
                await kept.write(b"")
        await kept.write(b"still here", end=True)
        assert (await kept.rest())[0] == b"still here"
        await until_alone(rig)


async def test_a_supervisor_that_dies_takes_its_execs_with_it(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = await started(rig)
        one = Exec(rig)
        await one.open(plan, "commands.wasm", "flood")
        await rig.peer.until(lambda: len(rig.executor.container_pids()) == 2)
        await kill_supervisor(rig)
        await until_alone(rig)
        with pytest.raises(CommandError, match="has ended"):
            await one.read()


async def test_refusals_are_the_kubelets(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = await started(rig)
        waits = rig.plan("commands", image="file:nowhere", name="waits")
        await rig.peer.apply(waits)
        await rig.peer.waiting(waits, "InvalidImageName")

        async def said(pod: str, **options: Any) -> tuple[int, str]:
            with pytest.raises(CommandError) as refusal:
                await Exec(rig).open(plan, "x", pod=pod, **options)
            return refusal.value.code, refusal.value.message

        assert await said("nobody") == (404, "pod does not exist")
        assert await said("p", uid="another") == (500, 'container not found ("c")')
        assert await said("p", container="d") == (500, 'container not found ("d")')
        assert await said("waits") == (500, 'container not found ("c")')
