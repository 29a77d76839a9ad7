"""A full disk costs the checkpoint for as long as it is full, and no pod anything."""

import asyncio
import errno
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from executor_rig import Rig, executor_rig, kill_keeper, kill_supervisor
from small_disks import disk_of, filled

from contract.ids import ContainerName, PodUid
from contract.messages.pod import PodPlan, RestartPolicy
from contract.messages.report import Terminated
from wasm_executor.domain.checkpoint import ContainerRecord, PodRecord
from wasm_executor.keeper.records import KILLED
from wasm_executor.supervisor.pods.checkpoints import SPARE_LINES, Checkpoint

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def record(pod: int, run: int = 0) -> PodRecord:
    return PodRecord(
        uid=PodUid(f"u-{pod}"),
        namespace="ns",
        name="pod",
        started_at=NOON,
        start_count=1,
        containers=(ContainerRecord(name=ContainerName("c"), run=run),),
    )


def open_below(folder: Path) -> list[str]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # it was of this look
            found.append(str(descriptor.readlink()))
    return [each for each in found if each.startswith(str(folder))]


async def test_pods_go_on_when_the_executor_starts_again_on_a_full_disk(tmp_path: Path) -> None:
    with disk_of(tmp_path / "data", "16m") as disk:
        async with executor_rig(tmp_path) as rig:
            plan = rig.plan("sleep", restart_policy=RestartPolicy.ALWAYS)
            await rig.peer.apply(plan)
            await rig.peer.running(plan)
            before = rig.executor.container_pids()
            with filled(disk):
                await kill_supervisor(rig)
                await rig.peer.until(lambda: rig.peer.latest(plan) is not None)
                assert rig.executor.container_pids() == before
                await kill_keeper(rig)
                await rig.peer.running(plan, restarts=1)
            written = disk / "checkpoint.jsonl"
            await rig.peer.until(lambda: '"run":1' in written.read_text())


async def test_a_keeper_begins_though_memory_volumes_fill_the_run_directory(
    tmp_path: Path,
) -> None:
    """Each container counts as killed, and runs again once there is room."""
    with disk_of(tmp_path / "run", "4m") as memory:
        async with executor_rig(tmp_path, RUN_DIR=str(memory)) as rig:
            plan = rig.plan("sleep", restart_policy=RestartPolicy.ALWAYS)
            await rig.peer.apply(plan)
            await rig.peer.running(plan)
            with filled(memory):
                await kill_keeper(rig)
                await rig.peer.until(lambda: killed(rig, plan))
            report = await rig.peer.running(plan, restarts=1)
            assert isinstance(report.last_state, Terminated)
            assert report.last_state.exit_code == KILLED


def killed(rig: Rig, plan: PodPlan) -> bool:
    report = rig.peer.container(plan)
    states = () if report is None else (report.state, report.last_state)
    return any(isinstance(each, Terminated) and each.exit_code == KILLED for each in states)


async def test_a_checkpoint_is_read_on_a_full_disk_and_whole_once_there_is_room(
    tmp_path: Path,
) -> None:
    with disk_of(tmp_path / "data", "128k") as disk:
        first = Checkpoint(disk)
        for pod in range(100):
            first.keep(record(pod))
        with filled(disk):
            second = Checkpoint(disk)
            assert second.records == first.records
            for pod in range(100):
                second.keep(record(pod, run=1))
            with pytest.raises(OSError, match="No space left"):
                await second.sync()
        await second.sync()
        assert Checkpoint(disk).records == second.records
        assert second.records[PodUid("u-99")] == record(99, run=1)


async def test_a_checkpoint_that_cannot_be_rewritten_goes_on_in_the_old_file(
    tmp_path: Path,
) -> None:
    """A line fits, the whole does not; no attempt leaves anything behind."""
    with disk_of(tmp_path / "data", "1m") as disk:
        checkpoint = Checkpoint(disk)
        for pod in range(200):
            checkpoint.keep(record(pod))
        for run in range(4 * 200 + SPARE_LINES):
            checkpoint.keep(record(0, run))
        with filled(disk, but=8192):
            for run in range(3):
                with pytest.raises(OSError, match="No space left"):
                    await checkpoint.sync()
                checkpoint.keep(record(1, run))
            assert Checkpoint(disk).records == checkpoint.records
            assert [each.name for each in disk.glob("*.new")] == []
            assert len(open_below(disk)) == 2  # one is of the checkpoint that looked
        await checkpoint.sync()
        assert (disk / "checkpoint.jsonl").read_bytes().count(b"\n") == 200
        assert Checkpoint(disk).records == checkpoint.records


async def test_what_a_disk_did_not_take_is_written_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk may say so as late as at the sync, and a second sync would know nothing of it."""
    checkpoint, failed = Checkpoint(tmp_path), asyncio.Event()
    path = tmp_path / "checkpoint.jsonl"
    first = path.stat().st_ino
    loop = asyncio.get_running_loop()

    def fail(_descriptor: int) -> None:
        loop.call_soon_threadsafe(failed.set)
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fdatasync", fail)
    checkpoint.keep(record(1))
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        syncing = tasks.create_task(checkpoint.sync_from_time_to_time(0.001), name="sync")
        await failed.wait()
        while path.stat().st_ino == first:
            await asyncio.sleep(0.01)
        syncing.cancel()
    assert Checkpoint(tmp_path).records == {"u-1": record(1)}


async def test_what_changes_while_the_checkpoint_is_rewritten_is_in_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, fsync = Checkpoint(tmp_path), os.fsync
    for run in range(4 * 4 + SPARE_LINES):
        checkpoint.keep(record(run % 3, run))

    def change_meanwhile(descriptor: int) -> None:
        fsync(descriptor)
        checkpoint.keep(record(0, 5000))
        checkpoint.drop(PodUid("u-1"))
        checkpoint.keep(record(3))

    monkeypatch.setattr(os, "fsync", change_meanwhile)
    await checkpoint.sync()
    assert (tmp_path / "checkpoint.jsonl").read_bytes().count(b"\n") == 6
    assert Checkpoint(tmp_path).records == checkpoint.records
    assert checkpoint.records.keys() == {"u-0", "u-2", "u-3"}
