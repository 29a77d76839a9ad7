"""Guests that take without measure, or swap what others write: nothing gets out."""

import asyncio
import os
import resource
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from keeper_rig import Supervisor
from volume_rig import VolumeRig, container, mount, pod, ran

from contract.messages.volume import EmptyDir
from wasm_executor.keeper.errors import StartFailedError
from wasm_executor.volumes.errors import ContainerMountError
from wasm_executor.volumes.measuring import MAX_ENTRIES, measure
from wasm_executor.volumes.removing import Remover
from wasm_executor.zygote.forking import DESCRIPTORS

NO_MORE_DESCRIPTORS = {"29", "33"}
"""EMFILE, which wasmtime tells its guest as EIO."""


GUESTS_OWN = 20_000


def fill(folder: Path, entries: int) -> None:
    """Go on where a guest would take a minute."""
    here = os.open(folder, os.O_PATH)
    for number in range(entries):
        os.mknod(f"more-{number}", dir_fd=here)
    os.close(here)


@pytest.mark.parametrize("more", [0, pytest.param(MAX_ENTRIES, marks=[pytest.mark.slow])])
@pytest.mark.timeout(600)
async def test_entries_without_number_are_counted_up_to_an_end_and_removed(
    rig: VolumeRig, supervisor: Supervisor, more: int
) -> None:
    plan = pod(container(mount("e", "/v")), e=EmptyDir(size_limit_bytes=1 << 30))
    await rig.volumes.prepare(plan)
    assert await ran(supervisor, rig, plan, "m", str(GUESTS_OWN), guest="swarm") == (0, "")
    fill(rig.empty_dir_of("e"), more)
    usage = (await rig.volumes.usage(plan))["e"]
    assert usage.complete is (more == 0)
    assert not measure(str(rig.empty_dir_of("e")), most_entries=1000).complete
    rig.volumes.take_run(plan.uid, plan.containers[0].name, 0)
    rig.volumes.empty()
    await rig.volumes.drop(plan.uid)
    assert list((rig.disk / "pods").iterdir()) == []
    assert list((rig.disk / ".removed").iterdir()) == []


async def test_guest_that_hoards_descriptors_runs_out_of_its_own_alone(
    rig: VolumeRig, supervisor: Supervisor
) -> None:
    plan = pod(container(mount("f", "/v")), f=rig.blobs.files(file=b"content"))
    await rig.volumes.prepare(plan)
    code, said = await ran(supervisor, rig, plan, "o", "file", guest="swarm")
    assert code == 0
    assert said in NO_MORE_DESCRIPTORS
    assert await ran(supervisor, rig, plan, "/v", "r", "file") == (0, "content")


async def test_removals_without_end_keep_no_other_pod_from_its_volumes(
    rig: VolumeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = [pod(container(mount("e", "/v")), uid=f"u{n}", e=EmptyDir()) for n in range(40)]
    for plan in plans:
        await rig.volumes.prepare(plan)
    goes_on, begun = threading.Event(), asyncio.Event()
    remove, loop = Remover.remove, asyncio.get_running_loop()

    def slow(self: Remover, folder: str) -> None:
        loop.call_soon_threadsafe(begun.set)
        goes_on.wait()
        remove(self, folder)

    monkeypatch.setattr(Remover, "remove", slow)
    async with asyncio.TaskGroup() as tasks:
        try:
            for plan in plans:
                tasks.create_task(rig.volumes.drop(plan.uid))
            async with asyncio.timeout(10):
                await begun.wait()
                await rig.volumes.prepare(pod(container(mount("e", "/v")), e=EmptyDir()))
            assert rig.empty_dir_of("e").is_dir()
        finally:
            goes_on.set()
    assert len(list((rig.disk / "pods").iterdir())) == 1


TRIES = 20


@contextmanager
def swapping(part: Path, target: str) -> Iterator[None]:
    """A folder and a symlink change places all the time, as a guest that may write could do it."""
    over = threading.Event()
    kept = part.with_name("kept")
    part.mkdir()

    def swap() -> None:
        while not over.is_set():
            part.rename(kept)
            with suppress(FileExistsError):  # whoever mounts it may have made it meanwhile
                part.symlink_to(target)
            put_in_place(kept, part)
            time.sleep(0.0005)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def put_in_place(kept: Path, part: Path) -> None:
    """Move the folder back, whatever is there by now."""
    while kept.exists():
        if part.is_symlink():
            part.unlink()
        else:
            shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):
            kept.rename(part)


async def test_part_that_is_swapped_for_a_symlink_all_the_time_is_written_inside_or_not_at_all(
    rig: VolumeRig, supervisor: Supervisor
) -> None:
    part = mount("e", "/v", "part")
    plan = pod(container(part, message_path="/v/end"), e=EmptyDir())
    await rig.volumes.prepare(plan)
    outside = rig.folder / "outside"
    outside.mkdir()
    (outside / "file").write_text("not to be written")
    volume = rig.empty_dir_of("e")
    outcomes: list[int] = []
    up = outside.relative_to(volume, walk_up=True)
    with swapping(volume / "part", str(up)):
        for run in range(500):
            with suppress(ContainerMountError, StartFailedError):
                code, _ = await ran(supervisor, rig, plan, "/v", "w", "file", "x", run=run)
                outcomes.append(code)
            if run >= TRIES and 0 in outcomes:
                break
    assert 0 in outcomes  # or it would show nothing
    assert {each.name: each.read_text() for each in outside.iterdir()} == {
        "file": "not to be written"
    }


async def test_container_has_so_many_descriptors_and_no_more(
    supervisor: Supervisor,
) -> None:
    sleeps = await supervisor.start("sleep")
    own = resource.prlimit(sleeps.pid, resource.RLIMIT_NOFILE)
    _, ours = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert own == (min(ours, DESCRIPTORS),) * 2
