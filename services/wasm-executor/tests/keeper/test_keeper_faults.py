"""Kill whatever may die, while a guest writes numbered lines at full speed."""

import asyncio
import os
import random
import signal
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from keeper_rig import (
    Container,
    KeeperProcess,
    Supervisor,
    guests,
    is_alive,
    kill,
    numbered,
    spares,
    wait_until,
)
from process_tree import children

from wasm_executor.keeper.errors import KeeperGoneError
from wasm_executor.keeper.records import start_ticks
from wasm_executor.zygote.forking import FEW, SPARES

SMALL_PIPES = {"WASMLET_KEEPER_PIPE_BYTES": "8192"}


async def count_through_kills(keeper: KeeperProcess, *, kills: int, lines: int) -> None:
    """Kill supervisor and zygote in turn; every line must be there, once and in order."""
    async with AsyncExitStack() as supervisions:
        supervisor = await supervisions.enter_async_context(keeper.supervise())
        spec = supervisor.spec("counter", log_max_files=10_000)
        container = await supervisor.spawn(spec, supervisor.plan("counter", str(lines)))
        for number in range(kills):
            if number % 2:
                kill(keeper.zygote_pid())
            else:
                kill(supervisor.pid)
                supervisor = await supervisions.enter_async_context(keeper.supervise())
            await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311 - when to strike
        exit_ = await exit_of(supervisor, container)
        assert exit_ == 0
        assert container.content() == numbered(lines)


async def exit_of(supervisor: Supervisor, container: Container) -> int:
    """The exit, told to this supervisor or to one before it."""
    row = await supervisor.row(container.key)
    assert row is not None
    return row.exit.code if row.exit is not None else (await supervisor.next_exit()).code


async def test_no_line_is_lost_through_kills_of_supervisor_and_zygote(
    start_keeper: Callable[..., KeeperProcess],
) -> None:
    await count_through_kills(start_keeper(), kills=10, lines=3_000_000)


async def test_no_line_is_lost_with_pipes_of_8_kib(
    start_keeper: Callable[..., KeeperProcess],
) -> None:
    await count_through_kills(start_keeper(**SMALL_PIPES), kills=10, lines=1_000_000)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_no_line_is_lost_through_200_kills(
    start_keeper: Callable[..., KeeperProcess],
) -> None:
    await count_through_kills(start_keeper(**SMALL_PIPES), kills=200, lines=20_000_000)


async def test_restarted_supervisor_keeps_the_incarnation_and_raises_the_epoch(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as first:
        kill(first.pid)
        async with keeper.supervise() as second:
            assert second.executor_id == first.executor_id
            assert second.start_count == first.start_count
            assert second.epoch == first.epoch + 1


async def test_next_supervisor_finds_what_runs_and_what_ended_meanwhile(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as first:
        running = await first.start("sleep", name="running")
        ending = await first.start("sleep", name="ending")
        kill(first.pid)
        kill(ending.pid)
        async with keeper.supervise() as second:
            row = await second.row(running.key)
            assert row is not None
            assert (row.pid, row.started_at, row.exit) == (running.pid, running.started_at, None)
            assert await exit_of(second, ending) == 137
            await second.client.signal(running.key, signal.SIGKILL)
            assert (await second.next_exit()).key == running.key


async def test_nothing_begins_behind_the_back_of_the_next_supervisor(
    keeper: KeeperProcess,
) -> None:
    """It was told of all that there was, and goes by that."""
    async with keeper.supervise() as first, asyncio.TaskGroup() as tasks:
        await first.start("sleep", name="before")
        wait_until(lambda: len(spares(keeper.pid)) == SPARES - 1)  # each has its name by then
        frozen = [keeper.zygote_pid(), *spares(keeper.pid)]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        late = first.spec("late")
        asked = tasks.create_task(lost(first.client.spawn(late, first.plan("sleep"))))
        await asyncio.sleep(0)
        assert await first.row(late.key) is None  # the keeper has heard of it by now
        kill(first.pid)
        async with keeper.supervise() as second:
            assert await second.row(late.key) is None
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
            for number in range(2 * FEW):
                await second.start("sleep", name=f"after{number}")
            assert await second.row(late.key) is None
            assert len(guests(keeper.pid)) == 1 + 2 * FEW
            assert is_alive((await second.start("sleep", name="late")).pid)
        first.client.close()
        await asked


async def lost(asked: Awaitable[object]) -> None:
    with pytest.raises(KeeperGoneError):
        await asked


async def test_client_of_a_keeper_that_died_says_so(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        kill(keeper.pid)
        await keeper.ended()
        with pytest.raises(KeeperGoneError):
            await supervisor.client.containers()
        with pytest.raises(asyncio.QueueShutDown):
            await supervisor.next_exit()


async def test_spawns_survive_a_killed_zygote(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        await supervisor.start("sleep", name="before")
        zygote = keeper.zygote_pid()
        async with asyncio.TaskGroup() as spawns:
            started = [
                spawns.create_task(supervisor.start("sleep", name=f"s{n}")) for n in range(40)
            ]
            await asyncio.sleep(0)
            kill(zygote)
        assert all(is_alive(task.result().pid) for task in started)
        assert keeper.zygote_pid() != zygote


async def test_killed_spare_is_replaced_and_costs_no_start(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        await supervisor.start("sleep", name="before")
        for pid in (before := spares(keeper.pid)):
            kill(pid)
        await supervisor.start("sleep", name="after")
        wait_until(lambda: len(set(spares(keeper.pid)) - set(before)) > FEW)


async def test_spares_of_a_killed_zygote_end(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        await supervisor.start("sleep")
        wait_until(lambda: len(spares(keeper.pid)) > FEW)
        before = spares(keeper.pid)
        kill(keeper.zygote_pid())
        wait_until(lambda: not any(is_alive(pid) for pid in before))
        wait_until(lambda: len(spares(keeper.pid)) > FEW)


async def test_killed_keeper_takes_everything_with_it_and_the_next_reports_137(
    start_keeper: Callable[..., KeeperProcess],
) -> None:
    first = start_keeper()
    async with first.supervise() as supervisor:
        running = [await supervisor.start("sleep", name=f"s{n}") for n in range(3)]
        ended, _ = await supervisor.run("hello")
        below = [*children(first.pid)]
        kill(first.pid)
        second = start_keeper()
        async with second.supervise() as successor:
            assert not any(is_alive(pid) for pid in below)
            assert successor.executor_id == supervisor.executor_id
            assert successor.start_count == supervisor.start_count + 1
            assert successor.epoch == 1
            rows = {row.key: row for row in await successor.client.containers()}
            for container in running:
                row = rows[container.key]
                assert row.exit is not None
                assert (row.exit.code, row.exit.signal) == (137, signal.SIGKILL)
                assert row.exit.started_at == row.started_at == container.started_at
            assert rows[ended.key].exit == ended
            await successor.client.forget(running[0].key)
            again = await successor.start("sleep", name="s0")
            assert is_alive(again.pid)


async def test_everything_below_a_killed_keeper_ends_with_it(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        for number in range(3):
            await supervisor.start("sleep", name=f"s{number}")
        below = children(keeper.pid)
        assert len(below) >= 5  # with zygote, supervisor and spares
        kill(keeper.pid)
        wait_until(lambda: not any(is_alive(pid) for pid in below))


async def test_next_keeper_kills_a_container_that_outlived_its_keeper(
    start_keeper: Callable[..., KeeperProcess],
) -> None:
    """The death signal is one line of defence; a record of a live process is the other."""
    first = start_keeper()
    async with first.supervise() as supervisor:
        container = await supervisor.start("sleep")
        record = next((first.folder / "run" / "containers").iterdir())
        survivor = subprocess.Popen(["sleep", "3600"])  # noqa: ASYNC220 - it returns at once
        ticks = start_ticks(container.pid)
        text = record.read_text()
        text = text.replace(f'"pid":{container.pid}', f'"pid":{survivor.pid}')
        record.write_text(text.replace(str(ticks), str(start_ticks(survivor.pid))))
        kill(first.pid)
        async with start_keeper().supervise():
            assert await asyncio.to_thread(survivor.wait, 20) == -signal.SIGKILL


async def test_next_keeper_spares_a_process_that_got_a_recorded_pid(
    start_keeper: Callable[..., KeeperProcess],
) -> None:
    bystander = subprocess.Popen(["sleep", "3600"])  # noqa: ASYNC220 - it returns at once
    first = start_keeper()
    async with first.supervise() as supervisor:
        container = await supervisor.start("sleep")
        record = next((first.folder / "run" / "containers").iterdir())
        text = record.read_text()
        record.write_text(text.replace(f'"pid":{container.pid}', f'"pid":{bystander.pid}'))
        kill(first.pid)
        async with start_keeper().supervise() as successor:
            assert await exit_of(successor, container) == 137
            assert bystander.poll() is None
        bystander.kill()
        await asyncio.to_thread(bystander.wait)


async def test_second_keeper_on_the_same_data_directory_refuses(
    start_keeper: Callable[..., KeeperProcess],
) -> None:
    async with start_keeper().supervise() as supervisor:
        second = start_keeper()
        assert await second.ended() == 1
        assert is_alive(supervisor.pid)


async def test_keeper_ends_with_a_supervisor_that_finds_its_settings_wrong(
    start_keeper: Callable[..., KeeperProcess],
) -> None:
    keeper = start_keeper(KEEPER_RIG_EXIT_CODE="2")
    assert await keeper.ended() == 2


async def test_wrong_setting_of_the_keeper_itself_is_one_line_and_code_2(
    start_keeper: Callable[..., KeeperProcess], capfd: pytest.CaptureFixture[str]
) -> None:
    keeper = start_keeper(WASMLET_KEEPER_PIPE_BITES="1")
    assert await keeper.ended() == 2
    assert "WASMLET_KEEPER_PIPE_BITES" in capfd.readouterr().err


async def test_sigterm_lets_the_supervisor_end_first_then_nothing_is_left(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        container = await supervisor.start("counter", "100000000")
        below = children(keeper.pid)
        assert await keeper.terminate() == 0
        wait_until(lambda: not any(is_alive(pid) for pid in below))
        content = container.content()  # killed inside a line, it leaves what it had written of it
        assert numbered(content.count("\n") + 1).startswith(content)


async def test_stopped_supervisor_holds_up_no_guest(keeper: KeeperProcess) -> None:
    """The test does not read from the keeper while its guests write and end."""
    async with keeper.supervise() as supervisor:
        containers = [await supervisor.start("counter", "20000", name=f"c{n}") for n in range(5)]
        wait_until(lambda: not any(is_alive(container.pid) for container in containers))
        wait_until(lambda: all(c.content() == numbered(20_000) for c in containers))
        assert {(await supervisor.next_exit()).code for _ in containers} == {0}
