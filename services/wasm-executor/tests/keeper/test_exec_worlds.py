"""A command in a container's world: what it has of it, how it ends, what it leaves: nothing."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from exec_rig import C, Clock, ExecRig, exec_rig
from keeper_rig import (
    DEADLINE_S,
    KeeperProcess,
    descriptors,
    is_alive,
    kill,
    numbered,
    wait_until,
)

from wasm_executor.supervisor.execs.execing import MAX_OUTPUT_BYTES
from wasm_executor.supervisor.execs.execprocess import Stdio

WASM_PAGE = 64 * 1024
TIMEOUT_S = 60.0
WRITING_S = 2.0


@pytest.fixture
async def rig(keeper: KeeperProcess) -> AsyncIterator[ExecRig]:
    async with keeper.supervise() as supervisor, exec_rig(keeper, supervisor) as rig:
        await supervisor.run("returns")  # the zygote is ready
        yield rig


async def test_command_has_its_own_arguments_and_the_containers_environment(rig: ExecRig) -> None:
    environment = (("GREETING", "good day"), ("TWICE", "1"), ("TWICE", "2"))
    target = rig.target("environ", "-v", env=environment)
    container = await rig.start(target)
    await rig.supervisor.next_exit()
    result = await rig.execs.output_of(target, ["environ", "--health"], DEADLINE_S)
    assert result.outcome.exit_code == 0
    assert result.outcome.failure is None
    own = result.output.decode()
    assert own == "environ\0--health\0GREETING=good day\0TWICE=2\0"
    assert own.replace("--health", "-v") == container.content()


async def test_code_and_both_streams_in_their_order_come_back(rig: ExecRig) -> None:
    result = await rig.execs.output_of(rig.target("hello"), ["hello"], DEADLINE_S)
    assert (result.outcome.exit_code, result.output) == (3, b"hello\nworld\noh\n")
    assert not result.outcome.timed_out
    assert not (rig.settings.log_root / "pods").exists()


async def test_command_sees_the_folders_of_its_containers_run(rig: ExecRig) -> None:
    target = rig.target("prestat")
    await rig.start(target)
    await rig.supervisor.next_exit()
    result = await rig.execs.output_of(target, ["prestat"], DEADLINE_S)
    exists = 20
    assert (result.outcome.exit_code, result.output) == (exists, b"/dev")


async def test_end_of_a_command_is_not_the_end_of_a_run(rig: ExecRig) -> None:
    target = rig.target("sleep")
    container = await rig.start(target)
    await rig.execs.output_of(rig.target("hello"), ["hello"], DEADLINE_S)
    await rig.execs.output_of(target, ["sleep"], 0.05)
    assert is_alive(container.pid)
    assert rig.supervisor.client.exits.empty()


async def test_time_out_kills_and_says_so(rig: ExecRig, monkeypatch: pytest.MonkeyPatch) -> None:
    running = asyncio.create_task(rig.execs.output_of(rig.target("sleep"), ["sleep"], TIMEOUT_S))
    (pid,) = await rig.running()
    await rig.begun()
    clock = Clock(monkeypatch)
    await clock.skip(TIMEOUT_S / 2)
    assert is_alive(pid)
    assert not running.done()
    await clock.skip(TIMEOUT_S / 2)
    result = await running
    assert result.outcome.timed_out
    assert result.outcome.exit_code == 137
    assert not is_alive(pid)
    await rig.until_gone()


async def test_cancelled_caller_kills_it(rig: ExecRig) -> None:
    running = asyncio.create_task(rig.execs.output_of(rig.target("sleep"), ["sleep"], None))
    (pid,) = await rig.running()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    wait_until(lambda: not is_alive(pid))
    await rig.until_gone()


async def test_caller_cancelled_at_any_moment_of_the_start_leaves_nothing(rig: ExecRig) -> None:
    target = rig.target("sleep")
    for turn in range(30):
        running = asyncio.create_task(rig.execs.output_of(target, ["sleep"], None))
        for _ in range(turn):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    await rig.until_gone()
    async with asyncio.timeout(DEADLINE_S):
        while rig.execs._live:
            await asyncio.sleep(0.005)
    assert await rig.rows() == []


async def test_end_of_its_containers_run_kills_its_own_execs_only(rig: ExecRig) -> None:
    target, other = rig.target("sleep"), rig.target("sleep")
    ending = [asyncio.create_task(rig.execs.output_of(target, ["sleep"], None)) for _ in range(2)]
    staying = asyncio.create_task(rig.execs.output_of(other, ["sleep"], None))
    await rig.running(3)
    rig.execs.end_all(target.plan.uid, C)
    for each in ending:
        result = await each
        assert (result.outcome.exit_code, result.outcome.timed_out) == (137, False)
    assert len(await rig.running(1)) == 1
    rig.execs.end_all(other.plan.uid)
    assert (await staying).outcome.exit_code == 137


async def test_one_that_is_killed_at_any_moment_of_its_start_is_told_as_killed(
    rig: ExecRig,
) -> None:
    target = rig.target("sleep")
    for turn in range(1, 30):
        ending = asyncio.create_task(rig.execs.output_of(target, ["sleep"], None))
        for _ in range(turn):
            await asyncio.sleep(0)
        rig.execs.end_all(target.plan.uid, C)
        outcome = (await ending).outcome
        assert (outcome.exit_code, outcome.failure) == (137, None)
    assert await rig.rows() == []


async def test_three_at_once_do_not_wait_for_one_another(rig: ExecRig) -> None:
    target = rig.target("counter")
    async with asyncio.TaskGroup() as tasks:
        slow_target = rig.target("sleep")
        slow = tasks.create_task(rig.execs.output_of(slow_target, ["sleep"], None))
        quick = [
            tasks.create_task(rig.execs.output_of(target, ["counter", str(n)], DEADLINE_S))
            for n in (5, 50, 500)
        ]
        for each, count in zip(quick, (5, 50, 500), strict=True):
            assert (await each).output == numbered(count).encode()
        assert not slow.done()
        rig.execs.end_all(slow_target.plan.uid)


async def test_first_10_kib_are_kept_and_the_rest_holds_up_nobody(rig: ExecRig) -> None:
    lines = 100_000
    result = await rig.execs.output_of(rig.target("counter"), ["counter", str(lines)], DEADLINE_S)
    assert result.outcome.exit_code == 0
    assert result.output == numbered(lines).encode()[:MAX_OUTPUT_BYTES]


async def test_who_writes_for_ever_costs_the_event_loop_little(rig: ExecRig) -> None:
    target = rig.target("counter")
    began = time.thread_time()
    result = await rig.execs.output_of(target, ["counter", str(2**31)], WRITING_S)
    assert result.outcome.timed_out
    assert result.output == numbered(1000).encode()[:MAX_OUTPUT_BYTES]
    assert time.thread_time() - began < 0.3


async def test_caller_may_talk_with_it_over_descriptors_of_his_own(rig: ExecRig) -> None:
    stdin, said = os.pipe2(os.O_CLOEXEC)
    heard, stdout = os.pipe2(os.O_CLOEXEC)
    stdio = Stdio(stdin, stdout, stdout)
    running = asyncio.create_task(rig.execs.run(rig.target("drain"), ["drain"], stdio, None))
    await rig.running()
    os.close(stdin)
    os.close(stdout)
    assert await asyncio.to_thread(os.read, heard, 100) == b"ready\n"
    os.close(said)
    assert (await running).exit_code == 7
    assert await asyncio.to_thread(os.read, heard, 100) == b"drained\n"
    assert await asyncio.to_thread(os.read, heard, 100) == b""
    os.close(heard)


async def test_command_that_is_not_there_starts_nothing(rig: ExecRig) -> None:
    result = await rig.execs.output_of(rig.target("sleep"), ["sh", "-c", "true"], DEADLINE_S)
    assert result.outcome.exit_code == 127
    assert result.outcome.failure == 'exec: "sh": executable file not found in $PATH'
    assert await rig.rows() == []


async def test_module_that_cannot_start_says_why(rig: ExecRig) -> None:
    result = await rig.execs.output_of(rig.target("no_start"), ["no_start"], DEADLINE_S)
    assert result.outcome.exit_code == 126
    assert result.outcome.failure is not None
    assert "no function `_start`" in result.outcome.failure
    assert await rig.rows() == []


async def test_engines_part_of_the_memory_limit_holds(rig: ExecRig) -> None:
    target = rig.target("grow", memory_limit_bytes=80 * WASM_PAGE)
    result = await rig.execs.output_of(target, ["grow"], DEADLINE_S)
    assert result.outcome.exit_code == 100


async def test_command_above_its_containers_memory_limit_is_killed(rig: ExecRig) -> None:
    target = rig.target("greedy", memory_limit_bytes=128 * WASM_PAGE)
    result = await rig.execs.output_of(target, ["greedy"], DEADLINE_S)
    assert (result.outcome.exit_code, result.outcome.timed_out) == (137, False)
    assert not rig.memory._watched


def own_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_50_execs_leave_no_descriptor_and_no_row(rig: ExecRig) -> None:
    target = rig.target("hello", memory_limit_bytes=1 << 30)
    await rig.execs.output_of(target, ["hello"], DEADLINE_S)
    held = sorted(descriptors(rig.keeper.pid))
    ours = own_descriptors()
    for _ in range(10):
        async with asyncio.TaskGroup() as tasks:
            for _ in range(5):
                tasks.create_task(rig.execs.output_of(target, ["hello"], DEADLINE_S))
    assert sorted(descriptors(rig.keeper.pid)) == held
    assert own_descriptors() == ours
    assert await rig.rows() == []
    assert not list((rig.keeper.folder / "run").rglob("*.exec_*"))


async def test_exec_survives_a_killed_zygote(rig: ExecRig) -> None:
    target = rig.target("hello")
    for _ in range(3):
        kill(rig.keeper.zygote_pid())
        result = await rig.execs.output_of(target, ["hello"], DEADLINE_S)
        assert (result.outcome.exit_code, result.output) == (3, b"hello\nworld\noh\n")


async def test_killed_keeper_kills_it_and_the_caller_hears(rig: ExecRig) -> None:
    running = asyncio.create_task(rig.execs.output_of(rig.target("sleep"), ["sleep"], None))
    (pid,) = await rig.running()
    kill(rig.keeper.pid)
    async with asyncio.timeout(DEADLINE_S):
        assert (await running).outcome.failure == "the keeper closed its end"
    wait_until(lambda: not is_alive(pid))


async def test_next_supervisor_ends_what_this_one_ran_and_shares_no_number(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as first, exec_rig(keeper, first) as rig:
        target = rig.target("sleep")
        container = await rig.start(target)
        running = asyncio.create_task(rig.execs.output_of(target, ["sleep"], None))
        (pid,) = await rig.running()
        (left,) = await rig.rows()
        kill(first.pid)
        async with keeper.supervise() as second, exec_rig(keeper, second) as successor:
            own = asyncio.create_task(successor.execs.output_of(target, ["sleep"], None))
            await successor.running(2)
            table = successor.execs.clear(await second.client.containers())
            assert [row.key for row in table] == [container.key]
            await successor.until_gone(left.key)
            assert not is_alive(pid)
            await successor.running(1)
            assert second.client.exits.empty()
            assert is_alive(container.pid)
            own.cancel()
        running.cancel()


async def test_next_keeper_knows_the_execs_of_a_dead_one_until_they_are_cleared(
    start_keeper: Callable[..., KeeperProcess],
) -> None:
    first = start_keeper()
    async with first.supervise() as supervisor, exec_rig(first, supervisor) as rig:
        target = rig.target("sleep")
        running = asyncio.create_task(rig.execs.output_of(target, ["sleep"], None))
        await rig.running()
        (left,) = await rig.rows()
        kill(first.pid)
        assert (await running).outcome.failure is not None
    second = start_keeper()
    async with second.supervise() as supervisor, exec_rig(second, supervisor) as rig:
        table = await supervisor.client.containers()
        assert [row.key for row in table] == [left.key]
        assert rig.execs.clear(table) == []
        await rig.until_gone()
        result = await rig.execs.output_of(rig.target("hello"), ["hello"], DEADLINE_S)
        assert result.outcome.exit_code == 3
