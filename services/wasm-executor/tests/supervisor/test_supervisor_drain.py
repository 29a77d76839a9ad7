"""Graceful node shutdown on the real executor: asked for on its control socket."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from executor_rig import Rig, executor_rig, kill_keeper, kill_supervisor

from contract.messages.pod import Drain, PodPlan

TERMINATED = ("Terminated", "Pod was terminated in response to imminent node shutdown.")
REFUSED = ("NodeShutdown", "Pod was rejected as the node is shutting down.")


async def order(rig: Rig, line: str) -> list[str]:
    """Give an order as soon as somebody listens, and return all lines of the answer."""
    folder = os.open(rig.executor.run_dir, os.O_PATH)
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    path = f"/proc/self/fd/{folder}/control.sock"
                    reader, writer = await asyncio.open_unix_connection(path)
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    await asyncio.sleep(0.02)
            writer.write(f"{line}\n".encode())
            answer = await reader.read()
    finally:
        os.close(folder)
    writer.close()
    return answer.decode().splitlines()


async def shutting_down(rig: Rig, *, expected: bool = True) -> None:
    await rig.peer.until(lambda: rig.peer.beats[-1].shutting_down is expected)


async def sentence(rig: Rig, plan: PodPlan) -> tuple[str, str]:
    """Return why the pod's last report, of its end, says that it ended."""
    await rig.peer.stopped(plan)
    report = rig.peer.latest(plan)
    assert report is not None
    return report.reason, report.message


async def test_a_drain_ends_all_pods_as_terminated_and_the_executor_goes_on_beating(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plans = [rig.plan("sleep", name=name) for name in ("one", "two")]
        over = rig.plan("exit_with", "0", name="over", restart_policy="Never")
        for plan in (*plans, over):
            await rig.peer.apply(plan)
        for plan in plans:
            await rig.peer.running(plan)
        await rig.peer.stopped(over)
        # The one that is over holds nobody's machine any more.
        await rig.peer.until(lambda: rig.peer.beats[-1].pods == len(plans))
        assert (rig.executor.run_dir / "control.sock").stat().st_mode & 0o777 == 0o600
        first, *ended, last = await order(rig, "drain 30")
        assert first == "the node is shutting down: ending 2 pods within 30 s"
        assert sorted(ended) == ["pod default/one has ended", "pod default/two has ended"]
        assert last == "drained 2 pods"
        for plan in plans:
            assert await sentence(rig, plan) == TERMINATED
        assert await sentence(rig, over) == ("", "")
        await shutting_down(rig)
        beats = len(rig.peer.beats)
        await rig.peer.until(lambda: len(rig.peer.beats) > beats + 2)
        assert rig.peer.beats[-1].shutting_down
        assert rig.peer.beats[-1].pods == 0
        assert await order(rig, "drain 30") == [
            "the node is shutting down: ending 0 pods within 30 s",
            "drained 0 pods",
        ]


async def test_the_period_cuts_a_longer_grace_short_and_leaves_a_shorter_one(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        stubborn = rig.plan("sleep", name="stubborn", drain=Drain.STDIN_EOF)
        short = rig.plan("sleep", name="short", drain=Drain.STDIN_EOF, termination_grace_s=2)
        for plan in (stubborn, short):
            await rig.peer.apply(plan)
            await rig.peer.running(plan)
        began = time.monotonic()
        answer = await order(rig, "drain 4")
        took_s = time.monotonic() - began
        assert answer[1:] == [
            "pod default/short has ended",
            "pod default/stubborn has ended",
            "drained 2 pods",
        ]
        assert 4 <= took_s < 10
        assert (await rig.peer.stopped(stubborn)).exit_code == 137


async def test_a_pod_that_arrives_at_a_draining_node_is_refused_and_never_runs(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        await order(rig, "drain 1")
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        assert await sentence(rig, plan) == REFUSED
        assert not any(reason == "Started" for reason, _ in rig.peer.said(plan))
        assert not rig.executor.container_pids()
        assert "never awaited" not in rig.executor.output()


async def test_a_restarted_supervisor_stays_in_it_and_another_start_ends_it(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        await order(rig, "drain 1")
        await kill_supervisor(rig)
        await shutting_down(rig)
        late = rig.plan("sleep", name="late")
        await rig.peer.apply(late)
        assert await sentence(rig, late) == REFUSED
        await kill_keeper(rig)
        await shutting_down(rig, expected=False)
        again = rig.plan("sleep", name="again")
        await rig.peer.apply(again)
        await rig.peer.running(again)
        assert await sentence(rig, plan) == TERMINATED


async def test_a_supervisor_that_dies_in_a_drain_leaves_the_rest_of_it_to_the_next(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep", drain=Drain.STDIN_EOF)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            ordered = tasks.create_task(order(rig, "drain 4"))
            await shutting_down(rig)
            await kill_supervisor(rig)
        assert len(ordered.result()) == 1  # what had been said until then
        assert await sentence(rig, plan) == TERMINATED
        assert 4 <= time.monotonic() - began < 15


async def test_a_sigterm_of_a_drained_executor_is_still_clean_while_somebody_waits(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep", drain=Drain.STDIN_EOF, termination_grace_s=3)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(order(rig, "drain 60"))
            await shutting_down(rig)
            assert await rig.executor.terminate() == 0


async def test_a_host_that_shuts_down_drains_by_sigpwr(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, SHUTDOWN_GRACE_S="3") as rig:
        plan = rig.plan("sleep", drain=Drain.STDIN_EOF)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        os.kill(rig.executor.pid, signal.SIGPWR)
        assert await sentence(rig, plan) == TERMINATED
        await shutting_down(rig)


@pytest.mark.parametrize("starting", [True, False])
async def test_a_host_that_shuts_down_while_the_supervisor_starts_drains_all_the_same(
    tmp_path: Path, *, starting: bool
) -> None:
    async with executor_rig(tmp_path, SHUTDOWN_GRACE_S="3") as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        first = rig.executor.supervisor_pid()
        assert first is not None
        os.kill(first, signal.SIGKILL)
        if starting:
            await rig.peer.until(lambda: rig.executor.supervisor_pid() not in {first, None})
        os.kill(rig.executor.pid, signal.SIGPWR)
        assert await sentence(rig, plan) == TERMINATED
        await shutting_down(rig)
        assert rig.peer.beats[-1].epoch == 2


async def test_a_drain_needs_no_bus_and_is_told_when_it_is_back(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        rig.nats.kill()
        assert (await order(rig, "drain 5"))[-1] == "drained 1 pod"
        rig.nats.start()
        await shutting_down(rig)
        await rig.peer.report_all()  # as the reconciler does when the digest differs
        assert await sentence(rig, plan) == TERMINATED


async def test_what_is_no_order_is_answered_with_an_error(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        for line in ("", "drain", "drain soon", "drain -1", "drain inf", "drain 1 2", "stop 1"):
            assert await order(rig, line) == ["error: the order is `drain SECONDS`"]
        assert not rig.peer.beats[-1].shutting_down
