"""Guests that do their worst before their `_start`, and starts that do not come to an end."""

import os
import signal
from pathlib import Path

import pytest
from executor_rig import executor_rig

from contract.messages.pod import RestartPolicy

MIB = 1024 * 1024


async def test_a_pod_whose_start_section_never_returns_runs_and_can_be_deleted(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("loop_at_instantiation", restart_policy=RestartPolicy.ALWAYS)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        await rig.peer.delete(plan)
        assert (await rig.peer.stopped(plan)).exit_code == 143
        assert not rig.executor.container_pids()


@pytest.mark.parametrize(
    ("arguments", "code", "reason"), [((), 3, "Error"), (("zero",), 0, "Completed")]
)
async def test_a_pod_that_leaves_in_its_start_section_runs_once(
    tmp_path: Path, arguments: tuple[str, ...], code: int, reason: str
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("exit_at_instantiation", *arguments, restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(plan)
        end = await rig.peer.stopped(plan)
        assert (end.exit_code, end.reason) == (code, reason)
        assert "spawn.failed" not in rig.executor.output()


async def test_memories_that_are_too_much_together_are_oom_killed_in_the_start_section(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan(
            "many_memories", memory_limit_bytes=64 * MIB, restart_policy=RestartPolicy.NEVER
        )
        await rig.peer.apply(plan)
        end = await rig.peer.stopped(plan)
        assert (end.exit_code, end.reason) == (137, "OOMKilled")


async def test_a_cut_argument_is_a_start_error(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("environ", "cut\0off", restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(plan)
        end = await rig.peer.stopped(plan)
        assert (end.exit_code, end.reason) == (128, "StartError")
        assert end.message == "a NUL character is in argument 1"


async def test_a_start_that_its_pod_no_longer_wants_is_killed_once_its_process_is_known(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        makers = [rig.executor.zygote_pid(), *rig.executor.spare_pids()]
        for pid in makers:
            os.kill(pid or 0, signal.SIGSTOP)
        plan = rig.plan("loop_at_instantiation", restart_policy=RestartPolicy.ALWAYS)
        await rig.peer.apply(plan)
        await rig.peer.until(lambda: "image.compiled" in rig.executor.output())
        while "start.abandoned" not in rig.executor.output():
            await rig.peer.delete(plan)
        for pid in makers:
            os.kill(pid or 0, signal.SIGCONT)
        assert (await rig.peer.stopped(plan)).exit_code == 137
        assert not rig.executor.container_pids()
