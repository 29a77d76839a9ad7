"""A container prepares itself while its keeper records it, and is no guest before that."""

import asyncio
import os
import signal
from pathlib import Path

from keeper_rig import (
    KeeperProcess,
    Supervisor,
    guests,
    kill,
    spares,
    status_field,
    wait_until,
)

from wasm_executor.container.plan import ProcessPlan
from wasm_executor.keeper.errors import SpawnFailedError
from wasm_executor.keeper.protocol import SpawnSpec
from wasm_executor.zygote.forking import SPARES

CODE_OF_HELLO = 3


async def test_container_that_dies_before_its_record_ran_nothing_and_leaves_nobody_waiting(
    keeper: KeeperProcess,
) -> None:
    """It has read its plan by then, which is there only once: no other spare can take its place."""
    async with keeper.supervise() as supervisor, asyncio.TaskGroup() as tasks:
        wait_until(lambda: len(spares(keeper.pid)) == SPARES)
        frozen = [keeper.zygote_pid(), *spares(keeper.pid)]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        spec = supervisor.spec("early")
        asked = tasks.create_task(killed_at_the_gate(supervisor, spec, supervisor.plan("hello")))
        await asyncio.sleep(0)
        assert await supervisor.row(spec.key) is None  # the keeper has ordered it by now
        os.kill(keeper.pid, signal.SIGSTOP)
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: bool(guests(keeper.pid)))
        (guest,) = guests(keeper.pid)
        wait_until(lambda: is_confined(guest) and status_field(guest, "State").startswith("S"))
        kill(guest)
        os.kill(keeper.pid, signal.SIGCONT)
        await asked
        assert content_of(spec) == ""
        assert (await supervisor.run("hello"))[0].code == CODE_OF_HELLO


async def killed_at_the_gate(supervisor: Supervisor, spec: SpawnSpec, plan: ProcessPlan) -> None:
    """See a spawn fail, or a run that was killed: it depends on what the keeper hears of first."""
    try:
        await supervisor.spawn(spec, plan)
    except SpawnFailedError:
        return
    assert (await supervisor.next_exit()).code == 128 + signal.SIGKILL


def content_of(spec: SpawnSpec) -> str:
    assert spec.log_path is not None
    return Path(spec.log_path).read_text(encoding="utf-8")


def is_confined(pid: int) -> bool:
    return status_field(pid, "Seccomp") == "2"
