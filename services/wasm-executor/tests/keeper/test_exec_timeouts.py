"""A command's time-out: what counts into it, and what the node has to answer for itself."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable

import pytest
from exec_rig import Clock, ExecRig, exec_rig
from keeper_rig import DEADLINE_S, KeeperProcess, guests, is_alive, wait_until

from wasm_executor.supervisor.execs import execing, execprocess
from wasm_executor.supervisor.execs.execing import STARTS_AT_ONCE, ExecResult

TIMEOUT_S = 10.0
LONGER_S = 15.0
HELLO = (3, b"hello\nworld\noh\n")


@pytest.fixture
async def rig(keeper: KeeperProcess) -> AsyncIterator[ExecRig]:
    async with keeper.supervise() as supervisor, exec_rig(keeper, supervisor) as rig:
        await supervisor.run("returns")  # the zygote is ready
        yield rig


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
async def held(rig: ExecRig) -> AsyncIterator[ExecRig]:
    """Nothing begins before `go_on`."""
    hold(rig)
    yield rig
    go_on(rig)


def hold(rig: ExecRig) -> None:
    os.kill(rig.keeper.pid, signal.SIGSTOP)


def go_on(rig: ExecRig) -> None:
    os.kill(rig.keeper.pid, signal.SIGCONT)


def told(result: ExecResult) -> tuple[int, bytes]:
    assert not result.outcome.timed_out
    return result.outcome.exit_code, result.output


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not true():
            await asyncio.sleep(0.005)


async def test_waiting_for_the_start_of_the_guest_does_not_count(
    held: ExecRig, clock: Clock
) -> None:
    target = held.target("hello")
    running = asyncio.create_task(held.execs.output_of(target, ["hello"], TIMEOUT_S))
    await until(lambda: held.execs._live)
    await clock.skip(LONGER_S)
    assert not running.done()
    go_on(held)
    assert told(await running) == HELLO


async def test_a_start_that_never_comes_is_given_up(
    held: ExecRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execing, "START_S", 0.1)
    monkeypatch.setattr(execprocess, "KILL_S", 0.1)
    result = await held.execs.output_of(held.target("hello"), ["hello"], TIMEOUT_S)
    assert result.outcome.timed_out
    go_on(held)
    await held.until_gone()


async def test_an_end_in_time_that_is_heard_of_late_is_no_time_out(
    rig: ExecRig, clock: Clock
) -> None:
    target = rig.target("hello")
    running = asyncio.create_task(rig.execs.output_of(target, ["hello"], TIMEOUT_S))
    await rig.begun()
    hold(rig)
    wait_until(lambda: not any(map(is_alive, guests(rig.keeper.pid))))  # this loop is busy
    await clock.skip(LONGER_S)
    go_on(rig)
    assert told(await running) == HELLO


async def test_few_start_at_once(held: ExecRig) -> None:
    target = held.target("hello")
    many = 2 * STARTS_AT_ONCE
    running = [
        asyncio.create_task(held.execs.output_of(target, ["hello"], TIMEOUT_S)) for _ in range(many)
    ]
    await until(lambda: len(held.execs._starts._waiters or ()) == many - STARTS_AT_ONCE)
    assert len(held.execs._live) == STARTS_AT_ONCE
    go_on(held)
    for each in running:
        assert told(await each) == HELLO


async def test_those_that_run_hold_no_other_back(rig: ExecRig) -> None:
    target = rig.target("sleep")
    many = 2 * STARTS_AT_ONCE
    running = [
        asyncio.create_task(rig.execs.output_of(target, ["sleep"], DEADLINE_S)) for _ in range(many)
    ]
    await rig.running(many)
    for each in running:
        each.cancel()
    await asyncio.wait(running)
    await rig.until_gone()
