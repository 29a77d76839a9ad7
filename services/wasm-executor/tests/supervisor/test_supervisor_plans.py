"""Plans that cannot be written, and plan files that are lost: nothing half, nothing twice."""

import os
import resource
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from executor_rig import Rig, executor_rig, kill_keeper, kill_supervisor
from podclock import plan_of

from contract.digests import plan_digest
from contract.errors import CommandError
from contract.messages.form import STATIC_TERM
from contract.messages.pod import Drain, PodPlan, RestartPolicy
from wasm_executor.domain.ordering import Rank
from wasm_executor.errors import PlanNotStoredError
from wasm_executor.supervisor.pods.plans import PlanStore, StoredPlan

ROOM = 4096

type Lose = Callable[[Rig, PodPlan], None]


@contextmanager
def no_room(pid: int = 0) -> Iterator[None]:
    """Let a process write the first bytes of a file, and then fail: as on a tmpfs nearly full."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def large(plan: PodPlan) -> PodPlan:
    """Return the plan with another way to end, and more in it than there is room for."""
    (container,) = plan.containers
    container = msgspec.structs.replace(container, env=(("LARGE", "x" * 5 * ROOM),))
    return msgspec.structs.replace(plan, containers=(container,), drain=Drain.STDIN_EOF)


def stored(plan: PodPlan, revision: int) -> StoredPlan:
    return StoredPlan(rank=Rank(term=STATIC_TERM, revision=revision), digest="d", plan=plan)


def test_a_plan_that_does_not_fit_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    store = PlanStore(tmp_path)
    first = stored(plan_of(), 1)
    store.save(first)
    with no_room(), pytest.raises(PlanNotStoredError, match="cannot be stored: File too large"):
        store.save(stored(large(plan_of()), 2))
    assert [each.name for each in (tmp_path / "plans").iterdir()] == [first.plan.uid]
    assert list(PlanStore(tmp_path).load()) == [first]


def test_a_plan_file_that_cannot_be_read_costs_that_plan_only(tmp_path: Path) -> None:
    store = PlanStore(tmp_path)
    store.save(stored(plan_of(), 1))
    (tmp_path / "plans" / "u-0").mkdir()
    assert list(store.load()) == [stored(plan_of(), 1)]


async def test_a_plan_that_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        before = await rig.peer.running(plan)
        kept = plan_files(rig)
        supervisor = rig.executor.supervisor_pid()
        assert supervisor is not None
        with no_room(supervisor):
            for wanted in (large(plan), large(rig.plan("sleep", name="other"))):
                with pytest.raises(CommandError, match="the plan cannot be stored: ") as caught:
                    await rig.peer.apply(wanted)
                assert caught.value.code == 503
            assert plan_files(rig) == kept
            assert await plans_of(rig) == [plan_digest(plan)]
        assert "command.crashed" not in rig.executor.output()
        await rig.peer.apply(large(plan))
        await rig.peer.until(lambda: shown_plan(rig, plan) == plan_digest(large(plan)))
        assert rig.peer.container(plan) == before


def shown_plan(rig: Rig, plan: PodPlan) -> str:
    report = rig.peer.latest(plan)
    return "" if report is None else report.plan_digest


async def plans_of(rig: Rig) -> list[str]:
    return [each.plan_digest for each in (await rig.peer.report_all()).entries]


def plan_files(rig: Rig) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in rig.executor.run_dir.rglob("plans/*")}


@pytest.fixture(params=["missing", "truncated"])
def lose(request: pytest.FixtureRequest) -> Lose:
    """Return what happens to a plan file."""

    def it(rig: Rig, plan: PodPlan) -> None:
        (path,) = rig.executor.run_dir.rglob(f"plans/{plan.uid}")
        if request.param == "missing":
            path.unlink()
        else:
            os.truncate(path, path.stat().st_size // 2)

    return it


async def run_once(rig: Rig, **more: Any) -> tuple[PodPlan, int]:
    plan = rig.plan("steady", restart_policy=RestartPolicy.NEVER, **more)
    await rig.peer.apply(plan)
    await rig.peer.running(plan)
    (pid,) = rig.executor.container_pids()
    return plan, pid


async def end(rig: Rig, pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    await rig.peer.until(lambda: not rig.executor.container_pids())


def runs_of(rig: Rig) -> list[str]:
    return [each.name for each in (rig.executor.folder / "logs").rglob("*.log") if each.is_file()]


async def test_a_container_whose_plan_is_lost_goes_on_until_it_comes_again(
    tmp_path: Path, lose: Lose
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan, pid = await run_once(rig)
        before = rig.peer.container(plan)
        lose(rig, plan)
        for _ in range(2):
            await kill_supervisor(rig)
            assert await plans_of(rig) == [""]
            assert rig.executor.container_pids() == {pid}
        rig.peer.reports.clear()
        await rig.peer.apply(plan)
        assert await rig.peer.running(plan) == before
        assert rig.executor.container_pids() == {pid}
        await end(rig, pid)
        assert (await rig.peer.stopped(plan)).exit_code == 143
        assert runs_of(rig) == ["0.log"]


@pytest.mark.parametrize("then", [kill_supervisor, kill_keeper])
async def test_a_container_that_ends_without_its_plan_does_not_run_again(
    tmp_path: Path, lose: Lose, then: Callable[[Rig], Awaitable[None]]
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan, pid = await run_once(rig)
        lose(rig, plan)
        await kill_supervisor(rig)
        await end(rig, pid)
        await rig.peer.until(lambda: "run.ended_without_plan" in rig.executor.output())
        await then(rig)
        rig.peer.reports.clear()
        await rig.peer.apply(plan)
        assert (await rig.peer.stopped(plan)).exit_code == 143
        assert runs_of(rig) == ["0.log"]


async def test_a_container_that_ended_while_its_plan_was_lost_does_not_run_again(
    tmp_path: Path, lose: Lose
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan, pid = await run_once(rig)
        victim = rig.executor.supervisor_pid()
        assert victim is not None
        os.kill(victim, signal.SIGSTOP)
        lose(rig, plan)
        await end(rig, pid)
        await kill_supervisor(rig)
        rig.peer.reports.clear()
        await rig.peer.apply(plan)
        assert (await rig.peer.stopped(plan)).exit_code == 143
        assert runs_of(rig) == ["0.log"]


async def test_a_pod_that_is_gone_ends_though_its_plan_is_lost(tmp_path: Path, lose: Lose) -> None:
    async with executor_rig(tmp_path) as rig:
        plan, _ = await run_once(rig)
        lose(rig, plan)
        await kill_supervisor(rig)
        await rig.peer.forget(plan)
        await rig.peer.until(lambda: not rig.executor.traces_of(plan.uid))
        assert not rig.executor.container_pids()
        assert await plans_of(rig) == []


async def test_a_run_that_nobody_knows_is_stopped(tmp_path: Path, lose: Lose) -> None:
    async with executor_rig(tmp_path) as rig:
        plan, _ = await run_once(rig)
        victim = rig.executor.supervisor_pid()
        assert victim is not None
        os.kill(victim, signal.SIGSTOP)
        lose(rig, plan)
        (tmp_path / "data" / "checkpoint.jsonl").unlink()
        await kill_supervisor(rig)
        await rig.peer.until(lambda: not rig.executor.container_pids())
