"""No room on the disk, no descriptors left: what is promised holds, and nothing leaks."""

import asyncio
import resource
import signal
from pathlib import Path

import pytest
from keeper_rig import (
    KeeperProcess,
    Supervisor,
    descriptors,
    guests,
    is_alive,
    kill,
    numbered,
    wait_until,
)

from wasm_executor.keeper.errors import SpawnFailedError


async def test_full_disk_stops_the_guest_and_drops_nothing(keeper: KeeperProcess) -> None:
    """A limit on file size stands for a full disk: `write` refuses, later it does not."""
    lines = 200_000
    async with keeper.supervise() as supervisor:
        other = await supervisor.start("sleep")
        _, most = resource.prlimit(keeper.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(keeper.pid, resource.RLIMIT_FSIZE, (300_000, most))
        container = await supervisor.start("counter", str(lines))
        await until_blocked(supervisor, container.key)
        size = container.log.stat().st_size
        assert is_alive(container.pid)
        await supervisor.client.signal(other.key, signal.SIGKILL)  # the keeper serves on
        assert (await supervisor.next_exit()).key == other.key
        assert container.log.stat().st_size == size
        resource.prlimit(keeper.pid, resource.RLIMIT_FSIZE, (most, most))
        assert (await supervisor.next_exit()).code == 0
        assert container.content() == numbered(lines)


async def test_ended_container_whose_log_cannot_be_written_may_be_forgotten(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        _, most = resource.prlimit(keeper.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(keeper.pid, resource.RLIMIT_FSIZE, (10_000, most))
        container = await supervisor.start("counter", "100000")
        await until_blocked(supervisor, container.key)
        await supervisor.client.signal(container.key, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{container.pid}").exists())
        row = await supervisor.row(container.key)
        assert row is not None
        assert row.exit is None
        await supervisor.client.forget(container.key)
        assert await supervisor.row(container.key) is None


async def test_spawn_without_descriptors_to_spare_fails_and_leaks_none(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        await supervisor.start("sleep", name="before")
        held = len(descriptors(keeper.pid))
        soft, hard = resource.prlimit(keeper.pid, resource.RLIMIT_NOFILE)
        failed = 0
        while await fails_with(supervisor, keeper, (held + failed, hard)):
            assert len(descriptors(keeper.pid)) == held
            failed += 1
        assert failed > 5
        resource.prlimit(keeper.pid, resource.RLIMIT_NOFILE, (soft, hard))
        await supervisor.start("sleep", name="after")


async def fails_with(
    supervisor: Supervisor, keeper: KeeperProcess, descriptors_allowed: tuple[int, int]
) -> bool:
    resource.prlimit(keeper.pid, resource.RLIMIT_NOFILE, descriptors_allowed)
    try:
        await supervisor.start("sleep", name="scarce")
    except SpawnFailedError:
        return True
    return False


async def test_spawn_that_cannot_be_recorded_fails_and_nothing_runs(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        await supervisor.run("hello")
        records = keeper.folder / "run" / "containers"
        records.rename(records.with_name("elsewhere"))
        held = len(descriptors(keeper.pid))
        with pytest.raises(SpawnFailedError):
            await supervisor.start("sleep")
        wait_until(lambda: not guests(keeper.pid))
        assert len(descriptors(keeper.pid)) == held
        records.with_name("elsewhere").rename(records)
        await supervisor.start("sleep")


async def test_ends_are_told_though_what_they_left_cannot_be_read(keeper: KeeperProcess) -> None:
    """No descriptor is left to read it with, and many end at once."""
    async with keeper.supervise() as supervisor:
        containers = [await supervisor.start("sleep", name=f"s{each}") for each in range(5)]
        soft, hard = resource.prlimit(keeper.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(keeper.pid, resource.RLIMIT_NOFILE, (3, hard))
        for container in containers:
            kill(container.pid)
        ended = {(await supervisor.next_exit()).key for _ in containers}
        assert ended == {each.key for each in containers}
        resource.prlimit(keeper.pid, resource.RLIMIT_NOFILE, (soft, hard))


async def until_blocked(supervisor: Supervisor, key: str) -> None:
    async with asyncio.timeout(20):
        while True:
            row = await supervisor.row(key)
            assert row is not None
            if row.log_blocked:
                return
