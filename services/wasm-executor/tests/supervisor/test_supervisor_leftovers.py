"""What a supervisor that was killed leaves behind: the next one ends it, or goes on with it."""

import os
import signal
import time
from pathlib import Path

import msgspec
from executor_rig import Rig, executor_rig, kill_supervisor

from contract.messages.health import Exec, Probe
from contract.messages.pod import PodPlan

MANY_FILES = 30_000
DEADLINE_S = 20.0


def with_endless_probe(plan: PodPlan) -> PodPlan:
    (container,) = plan.containers
    probe = Probe(action=Exec(command=("sleep.wasm",)), timeout_s=600)
    probed = msgspec.structs.replace(container, readiness=probe)
    return msgspec.structs.replace(plan, containers=(probed,))


def kill_in_secret(rig: Rig) -> None:
    """Kill the supervisor, with nobody there to grant the node to the next one."""
    victim = rig.executor.supervisor_pid()
    assert victim is not None
    os.kill(victim, signal.SIGKILL)


def kill_as_it_drops(rig: Rig, stored: Path) -> None:
    """Kill the supervisor as soon as the first of a pod's traces is gone, and wait for nothing."""
    victim, ends_at = rig.executor.supervisor_pid(), time.monotonic() + DEADLINE_S
    assert victim is not None
    while stored.exists():
        assert time.monotonic() < ends_at
    os.kill(victim, signal.SIGKILL)


async def test_a_supervisor_without_a_grant_ends_the_commands_of_the_one_before_it(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = with_endless_probe(rig.plan("sleep"))
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        (container,) = rig.executor.container_pids()
        await rig.peer.until(lambda: len(rig.executor.container_pids()) == 2)
        rig.nats.kill()
        (rig.executor.run_dir / "standing").unlink()
        kill_in_secret(rig)
        await rig.peer.until(lambda: rig.executor.container_pids() == {container})
        assert "node.granted" not in rig.executor.output().rpartition("supervisor.started")[2]


async def test_what_pods_left_that_nobody_knows_is_swept(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        words = tmp_path / "data" / "last-words"
        orphan = words / "5f9f0d1c-unknown.c.0"
        (orphan / "folder of a guest").mkdir(parents=True)
        (orphan / "termination-log").write_text("said long ago")
        await kill_supervisor(rig)
        await rig.peer.until(lambda: not orphan.exists())
        assert (words / f"{plan.uid}.c.0").is_dir()


async def test_a_supervisor_that_dies_while_it_forgets_a_pod_leaves_it_to_be_forgotten_again(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        folder = tmp_path / "logs" / "pods" / f"default_p_{plan.uid}" / "c"
        for number in range(MANY_FILES):
            (folder / f"{number}.old").touch()
        rig.peer.beats.clear()
        await rig.peer.forget(plan)
        kill_as_it_drops(rig, rig.executor.run_dir / "plans" / plan.uid)
        assert folder.exists()
        await rig.peer.until(lambda: any(each.epoch == 2 for each in rig.peer.beats))
        assert [each.uid for each in (await rig.peer.report_all()).entries] == [plan.uid]
        await rig.peer.forget(plan)
        await rig.peer.until(lambda: not rig.executor.traces_of(plan.uid))
