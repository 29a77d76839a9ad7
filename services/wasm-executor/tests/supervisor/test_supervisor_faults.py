"""kill -9 of supervisor, keeper and bus, and disks that are lost: nothing runs twice or is lost."""

import os
import shutil
import signal
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from executor_rig import Rig, executor_rig, kill_keeper, kill_supervisor

from contract.errors import CommandError
from contract.messages.pod import PodPlan, RestartPolicy
from contract.messages.report import Running


def numbers_of(text: str) -> list[int]:
    return [int(line) for line in text.splitlines()]


async def test_a_killed_supervisor_costs_no_container_and_no_line(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plans = [rig.plan("steady", name=f"p{number}") for number in range(5)]
        for plan in plans:
            await rig.peer.apply(plan)
        before = {plan.uid: await rig.peer.running(plan) for plan in plans}
        pids = rig.executor.container_pids()
        for _ in range(3):
            await kill_supervisor(rig)
        for plan in plans:
            after = rig.peer.container(plan)
            assert after == before[plan.uid]
            lines = numbers_of(await rig.peer.log(plan))
            assert lines == list(range(len(lines)))
        assert rig.executor.container_pids() == pids
        await rig.peer.until(lambda: rig.peer.beats[-1].inventory_digest == rig.peer.digest())


async def test_an_exit_without_a_supervisor_is_processed_once_by_the_next(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("drain", stdin=True, restart_policy=RestartPolicy.ALWAYS)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        (pid,) = rig.executor.container_pids()
        victim = rig.executor.supervisor_pid()
        assert victim is not None
        os.kill(victim, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        await rig.peer.until(lambda: not Path(f"/proc/{pid}").exists())
        os.kill(victim, signal.SIGKILL)
        shown = await rig.peer.running(plan, restarts=1)
        assert shown.restart_count == 1
        assert shown.last_state is not None
        assert (shown.last_state.exit_code, shown.last_state.reason) == (137, "Error")
        await kill_supervisor(rig)
        shown = await rig.peer.running(plan, restarts=1)
        assert shown.restart_count == 1


async def test_a_back_off_outlives_the_supervisor(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, RESTART_DELAY_S="60") as rig:
        plan = rig.plan("exit_with", "3")
        await rig.peer.apply(plan)
        before = await rig.peer.waiting(plan, "CrashLoopBackOff")
        shown = rig.peer.container(plan)
        await kill_supervisor(rig)
        assert await rig.peer.waiting(plan, "CrashLoopBackOff") == before
        assert rig.peer.container(plan) == shown


@pytest.mark.parametrize(
    ("policy", "again"),
    [
        (RestartPolicy.ALWAYS, True),
        (RestartPolicy.ON_FAILURE, True),
        (RestartPolicy.NEVER, False),
    ],
)
async def test_a_killed_keeper_counts_every_running_container_as_killed(
    tmp_path: Path, policy: RestartPolicy, *, again: bool
) -> None:
    async with executor_rig(tmp_path, RESTART_DELAY_S="60") as rig:
        plan = rig.plan("sleep", restart_policy=policy)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        pids = rig.executor.container_pids()
        for life in (1, 2):
            await kill_keeper(rig)
            if again:
                shown = await rig.peer.running(plan, restarts=life)
                assert shown.restart_count == life
                end = shown.last_state
            else:
                end = await rig.peer.stopped(plan)
            assert end is not None
            assert (end.exit_code, end.reason) == (137, "Error")
            assert not any(_lives(pid) for pid in pids)


def _lives(pid: int) -> bool:
    try:
        return b"wasm" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def test_a_reboot_costs_the_run_directory_and_no_count(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        finished = rig.plan("exit_with", "0", name="done", restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(plan)
        await rig.peer.apply(finished)
        await rig.peer.running(plan)
        end = await rig.peer.stopped(finished)
        rig.executor.kill()
        shutil.rmtree(rig.executor.run_dir)
        rig.executor.start()
        await rig.peer.until(lambda: rig.peer.beats[-1].incarnation.start_count == 2)
        await rig.peer.apply(plan)
        await rig.peer.apply(finished)
        assert (await rig.peer.running(plan, restarts=1)).restart_count == 1
        await rig.peer.until(lambda: _reported_again(rig, finished))
        assert await rig.peer.stopped(finished) == end


def _reported_again(rig: Rig, plan: PodPlan) -> bool:
    report = rig.peer.latest(plan)
    return report is not None and report.incarnation.start_count == 2


async def test_an_executor_without_a_disk_goes_on_from_the_status_in_the_api(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        always = rig.plan("sleep", name="always")
        never = rig.plan("sleep", name="never", restart_policy=RestartPolicy.NEVER)
        done = rig.plan("exit_with", "4", name="done", restart_policy=RestartPolicy.NEVER)
        for plan in (always, never, done):
            await rig.peer.apply(plan)
        await rig.peer.running(always)
        await rig.peer.running(never)
        await rig.peer.stopped(done)
        last = {plan.uid: rig.peer.latest(plan) for plan in (always, never, done)}
        rig.executor.kill()
        shutil.rmtree(rig.executor.run_dir)
        shutil.rmtree(tmp_path / "data")
        await rig.start_again()
        rig.peer.reports.clear()
        for plan in (always, never, done):
            status = last[plan.uid]
            assert status is not None
            await rig.peer.apply(plan, last_status=status.containers)
        assert (await rig.peer.running(always, restarts=1)).restart_count == 1
        assert (await rig.peer.stopped(never)).exit_code == 137
        assert (await rig.peer.stopped(done)).exit_code == 4
        assert len(rig.executor.container_pids()) == 1


async def test_pods_do_not_notice_that_the_bus_is_away(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        steady = rig.plan("steady", name="steady")
        crashing = rig.plan("exit_with", "3", name="crashing")
        await rig.peer.apply(steady)
        await rig.peer.apply(crashing)
        before = await rig.peer.running(steady)
        await rig.peer.waiting(crashing, "CrashLoopBackOff")
        rig.nats.kill()
        rig.peer.beats.clear()
        path = tmp_path / "logs" / "pods" / f"default_crashing_{crashing.uid}" / "c" / "3.log"
        await rig.peer.until(path.exists)
        rig.nats.start()
        await rig.peer.until(lambda: bool(rig.peer.beats))
        rig.peer.reports.clear()
        await rig.peer.report_all()
        assert await rig.peer.running(steady) == before

        def restarted() -> bool:
            seen = rig.peer.container(crashing)
            return seen is not None and seen.restart_count >= 3

        await rig.peer.until(restarted)
        lines = numbers_of(await rig.peer.log(steady))
        assert lines == list(range(len(lines)))


async def test_a_supervisor_that_starts_while_the_bus_is_away_goes_on(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("exit_with", "3")
        await rig.peer.apply(plan)
        await rig.peer.waiting(plan, "CrashLoopBackOff")
        rig.nats.kill()
        victim = rig.executor.supervisor_pid()
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        path = tmp_path / "logs" / "pods" / f"default_p_{plan.uid}" / "c" / "4.log"
        await rig.peer.until(path.exists)
        rig.nats.start()


async def test_a_zygote_that_is_killed_delays_a_start_and_no_more(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        first = rig.plan("sleep", name="first")
        await rig.peer.apply(first)
        await rig.peer.running(first)
        zygote = rig.executor.zygote_pid()
        assert zygote is not None
        os.kill(zygote, signal.SIGKILL)
        second = rig.plan("sleep", name="second")
        await rig.peer.apply(second)
        await rig.peer.running(second)
        shown = rig.peer.container(first)
        assert shown is not None
        assert isinstance(shown.state, Running)
        assert shown.restart_count == 0


async def test_a_stale_leader_is_known_to_the_next_supervisor_too(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        older, plan = rig.peer.term, rig.plan("sleep")
        created_at = older.created_at + timedelta(days=1)
        rig.peer.term = msgspec.structs.replace(older, created_at=created_at)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        await kill_supervisor(rig)
        with pytest.raises(CommandError, match="stale term"):
            await rig.peer.apply(rig.plan("sleep", name="other"), term=older)


async def test_a_pod_whose_plan_a_reboot_took_is_in_the_inventory_until_forgotten(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        rig.executor.kill()
        shutil.rmtree(rig.executor.run_dir)
        await rig.start_again()
        entries = (await rig.peer.report_all()).entries
        assert [(each.uid, each.plan_digest) for each in entries] == [(plan.uid, "")]
        await rig.peer.forget(plan)
        await rig.peer.until(lambda: not rig.executor.traces_of(plan.uid))
        assert (await rig.peer.report_all()).entries == ()


async def test_a_supervisor_killed_amid_many_starts_leaves_each_pod_running_once(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path, AUDIT_INTERVAL_S="2") as rig:
        plans = [rig.plan("sleep", name=f"p{number}") for number in range(60)]
        for number, plan in enumerate(plans):
            await rig.peer.apply(plan)
            if number % 20 == 10:
                await kill_supervisor(rig)
        for plan in plans:
            assert (await rig.peer.running(plan)).restart_count == 0
        assert len(rig.executor.container_pids()) == len(plans)
