"""A spawn without a log: the caller's own descriptors are the process's stdio, nobody else's."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from keeper_rig import (
    DEADLINE_S,
    KeeperProcess,
    Supervisor,
    descriptors,
    is_alive,
    kill,
    proc,
    wait_until,
)

from wasm_executor.keeper.client import Spawned
from wasm_executor.keeper.errors import ContainerInUseError, KeeperGoneError, StartFailedError
from wasm_executor.keeper.protocol import Exit, SpawnSpec


class Stdio:
    """A pipe for input, one for both outputs."""

    def __init__(self) -> None:
        self.stdin, self._input = os.pipe2(os.O_CLOEXEC)
        self._output, self.stdout = os.pipe2(os.O_CLOEXEC)
        self._open = {self.stdin, self._input, self._output, self.stdout}

    @property
    def fds(self) -> tuple[int, int, int]:
        return self.stdin, self.stdout, self.stdout

    def give(self, data: bytes) -> None:
        os.write(self._input, data)
        self._close(self._input)

    def said(self) -> bytes:
        """What came until all who could write have closed."""
        self._close(self.stdout)
        with open(self._output, "rb", closefd=False) as output:
            return output.read()

    def _close(self, fd: int) -> None:
        self._open.remove(fd)
        os.close(fd)

    def close(self) -> None:
        for fd in set(self._open):
            self._close(fd)


@contextmanager
def stdio() -> Iterator[Stdio]:
    own = Stdio()
    try:
        yield own
    finally:
        own.close()


def own_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def spec(number: int = 0) -> SpawnSpec:
    return SpawnSpec(key=f"uid/c.exec/{number}")


async def start(
    supervisor: Supervisor, guest: str, *args: str, own: Stdio, number: int = 0
) -> Spawned:
    async with asyncio.timeout(DEADLINE_S):
        plan = supervisor.plan(guest, *args)
        return await supervisor.client.spawn(spec(number), plan, stdio=own.fds)


async def end_of(awaited: asyncio.Future[Exit]) -> Exit:
    async with asyncio.timeout(DEADLINE_S):
        return await awaited


async def test_what_it_writes_goes_to_its_caller_and_into_no_log(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        with stdio() as own, supervisor.client.awaited_end(spec().key) as ended:
            await start(supervisor, "hello", own=own)
            assert (await end_of(ended)).code == 3
            assert own.said() == b"hello\nworld\noh\n"
        assert not list(keeper.folder.rglob("*.log"))
        assert supervisor.client.exits.empty()


async def test_what_its_caller_says_is_its_stdin(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        with stdio() as own, supervisor.client.awaited_end(spec().key) as ended:
            await start(supervisor, "echo", own=own)
            own.give(b"what is said")
            assert (await end_of(ended)).code == 0
            assert own.said() == b"what is said"


async def test_its_end_is_told_to_who_waits_for_it_alone(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        with stdio() as own:
            await start(supervisor, "hello", own=own)
            own.said()
        exit_, container = await supervisor.run("hello")
        assert exit_.key == container.key
        row = await supervisor.row(spec().key)
        assert row is not None
        assert row.exit is not None
        assert supervisor.client.exits.empty()


async def test_refused_exec_keeps_no_descriptor_of_its_caller(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        with stdio() as own:
            await start(supervisor, "sleep", own=own)
            held, ours = len(descriptors(keeper.pid)), own_descriptors()
            for _ in range(3):
                with pytest.raises(ContainerInUseError):
                    await start(supervisor, "sleep", own=own)
                with pytest.raises(StartFailedError):
                    await start(supervisor, "no_start", own=own, number=1)
            assert len(descriptors(keeper.pid)) == held
            assert own_descriptors() == ours


async def test_exec_survives_a_killed_zygote_and_still_has_its_stdio(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        with stdio() as own, supervisor.client.awaited_end(spec().key) as ended:
            kill(keeper.zygote_pid())
            await start(supervisor, "hello", own=own)
            await end_of(ended)
            assert own.said() == b"hello\nworld\noh\n"


async def test_killed_keeper_takes_its_execs_with_it(
    start_keeper: Callable[..., KeeperProcess],
) -> None:
    first = start_keeper()
    async with first.supervise() as supervisor:
        with stdio() as own, supervisor.client.awaited_end(spec().key) as ended:
            spawned = await start(supervisor, "sleep", own=own)
            kill(first.pid)
            wait_until(lambda: not is_alive(spawned.pid))
            assert own.said() == b""
            with pytest.raises(KeeperGoneError):
                await end_of(ended)
    async with start_keeper().supervise() as successor:
        row = await successor.row(spec().key)
        assert row is not None
        assert row.exit is not None
        assert row.exit.signal == signal.SIGKILL


async def test_exec_of_a_supervisor_that_died_is_in_the_table_of_the_next(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as first:
        with stdio() as own:
            spawned = await start(first, "sleep", own=own)
            kill(first.pid)
            async with keeper.supervise() as second:
                row = await second.row(spec().key)
                assert row is not None
                assert (row.pid, row.exit) == (spawned.pid, None)
                second.client.kill_now(spec().key)
                wait_until(lambda: not is_alive(spawned.pid))


async def test_exec_holds_its_own_stdio_and_nothing_of_its_keepers(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        await supervisor.start("sleep", name="other")
        with stdio() as own:
            spawned = await start(supervisor, "sleep", own=own)
            assert b"wasmlet-guest" in proc(spawned.pid, "comm")
            above = [held for held in descriptors(spawned.pid) if held.startswith("socket:")]
            assert above == []
            theirs = os.readlink(f"/proc/{spawned.pid}/fd/1")  # noqa: PTH115 - no path
            assert theirs == os.readlink(f"/proc/self/fd/{own.stdout}")  # noqa: PTH115 - no path
            wait_until(lambda: theirs not in descriptors(keeper.pid))
