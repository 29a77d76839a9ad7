"""A node name that went to another executor and came back: what is remembered of it is over."""

import os
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from executor_rig import NODE, executor_rig

from contract.messages.form import Incarnation
from contract.messages.node import NodeRevoke
from contract.messages.pod import Drain, RestartPolicy
from contract.messages.report import Running, Terminated

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
COMPLETED = Terminated(exit_code=0, reason="Completed", started_at=AT, finished_at=AT)


@pytest.mark.parametrize("rebooted", [True, False])
async def test_an_executor_that_lost_its_name_while_it_was_down_drops_what_it_had(
    tmp_path: Path, *, rebooted: bool
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        rig.executor.kill()
        if rebooted:
            shutil.rmtree(rig.executor.run_dir)
        rig.peer.grants_to = lambda _asking: False
        rig.peer.holder = Incarnation(executor_id="other", start_count=1)
        assert rig.executor.traces_of(plan.uid)
        rig.executor.start()
        await rig.peer.until(lambda: not rig.executor.traces_of(plan.uid))
        assert not rig.executor.container_pids()


async def test_a_supervisor_that_dies_while_it_loses_the_name_leaves_no_container(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        # It ignores the end of its stdin, so that losing the name takes two seconds.
        plan = rig.plan("sleep", drain=Drain.STDIN_EOF)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        mine, other = rig.peer.holder, Incarnation(executor_id="other", start_count=1)
        assert mine is not None
        rig.peer.grants_to = lambda _asking: False
        rig.peer.holder = other
        revoke = NodeRevoke(node=NODE, executor_id=mine.executor_id, holder=other)
        await rig.peer.revoke(revoke)
        await rig.peer.until(lambda: "node.lost" in rig.executor.output())
        victim = rig.executor.supervisor_pid()
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        assert rig.executor.container_pids()
        await rig.peer.until(lambda: not rig.executor.container_pids())
        await rig.peer.until(lambda: not rig.executor.traces_of(plan.uid))


async def test_a_name_that_is_lost_while_a_pod_is_being_forgotten_costs_no_supervisor(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plans = [rig.plan("sleep", name=f"p{i}", drain=Drain.STDIN_EOF) for i in range(5)]
        for plan in plans:
            await rig.peer.apply(plan)
        for plan in plans:
            await rig.peer.running(plan)
        mine, other = rig.peer.holder, Incarnation(executor_id="other", start_count=1)
        assert mine is not None
        supervisor = rig.executor.supervisor_pid()
        for plan in plans:
            await rig.peer.forget(plan, grace_s=30)
        rig.peer.grants_to = lambda _asking: False
        rig.peer.holder = other
        await rig.peer.revoke(NodeRevoke(node=NODE, executor_id=mine.executor_id, holder=other))
        await rig.peer.until(lambda: not any(rig.executor.traces_of(each.uid) for each in plans))
        rig.peer.grants_to = lambda _asking: True
        await rig.peer.until(lambda: rig.peer.holder == mine)
        assert rig.executor.supervisor_pid() == supervisor


async def test_the_status_in_the_api_wins_where_it_knows_of_a_later_run(tmp_path: Path) -> None:
    """The name was given back before this executor asked for it again, so nobody told it."""
    async with executor_rig(tmp_path) as rig:
        always = rig.plan("sleep", name="always")
        done = rig.plan("sleep", name="done", restart_policy=RestartPolicy.ON_FAILURE)
        for plan in (always, done):
            await rig.peer.apply(plan)
        shown = {plan.uid: await rig.peer.running(plan) for plan in (always, done)}
        rig.executor.kill()
        shutil.rmtree(rig.executor.run_dir)
        await rig.start_again()
        rig.peer.reports.clear()
        later = msgspec.structs.replace(shown[always.uid], restart_count=5)
        await rig.peer.apply(always, last_status=(later,))
        assert (await rig.peer.running(always, restarts=6)).restart_count == 6
        over = msgspec.structs.replace(shown[done.uid], restart_count=1, state=COMPLETED)
        await rig.peer.apply(done, last_status=(over,))
        assert (await rig.peer.stopped(done)).exit_code == 0
        assert len(rig.executor.container_pids()) == 1


async def test_the_own_record_wins_where_the_status_in_the_api_lags(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("exit_with", "0", restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(plan)
        end = await rig.peer.stopped(plan)
        shown = rig.peer.container(plan)
        assert shown is not None
        rig.executor.kill()
        shutil.rmtree(rig.executor.run_dir)
        await rig.start_again()
        rig.peer.reports.clear()
        lagging = msgspec.structs.replace(shown, state=Running(started_at=end.started_at))
        await rig.peer.apply(plan, last_status=(lagging,))
        assert await rig.peer.stopped(plan) == end
