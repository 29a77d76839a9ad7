"""How pods end on the real executor: grace, draining, forgetting, and the executor's own end."""

import asyncio
import time
from pathlib import Path

import msgspec
from executor_rig import Rig, executor_rig

from contract.ids import PodUid
from contract.messages.pod import ContainerPlan, Drain, PodPlan, RestartPolicy
from contract.messages.report import Running
from contract.messages.volume import EmptyDir, Mount, VolumePlan


async def test_a_deleted_pod_ends_at_once_by_sigterm(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        began = time.monotonic()
        deleted = await rig.peer.delete(plan, grace_s=30)
        end = await rig.peer.stopped(deleted)
        assert (end.exit_code, end.reason) == (143, "Error")
        assert time.monotonic() - began < 5
        assert ("Killing", "Stopping container c") in rig.peer.said(plan)


async def test_a_guest_that_drains_ends_by_itself(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("drain", drain=Drain.STDIN_EOF)
        await rig.peer.apply(plan)
        before = await rig.peer.running(plan)
        assert await rig.peer.line(plan) == "ready\n"
        assert rig.peer.container(plan) == before
        await rig.peer.delete(plan, grace_s=30)
        end = await rig.peer.stopped(plan)
        assert end.exit_code == 7
        assert end.container_id == before.container_id
        assert await rig.peer.log(plan) == "ready\ndrained\n"


async def test_a_pod_ends_by_a_plan_that_says_little_more_than_its_names(tmp_path: Path) -> None:
    """As a reconciler makes it that cannot plan what another took on."""
    async with executor_rig(tmp_path) as rig:
        plan = in_a_volume(rig.plan("drain", drain=Drain.STDIN_EOF), "/dev/termination-log")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        named = ContainerPlan(name=plan.containers[0].name, image=plan.containers[0].image)
        replaced = msgspec.structs.replace(plan, containers=(named,), volumes=())
        await rig.peer.delete(replaced, grace_s=30)
        assert (await rig.peer.stopped(plan)).exit_code == 7
        assert await rig.peer.log(plan) == "ready\ndrained\n"


async def test_a_guest_that_drains_at_a_file_ends_by_itself(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("drain_file", drain=Drain.FILE)
        await rig.peer.apply(plan)
        before = await rig.peer.running(plan)
        assert await rig.peer.line(plan) == "waiting\n"
        assert rig.peer.container(plan) == before
        await rig.peer.delete(plan, grace_s=30)
        assert (await rig.peer.stopped(plan)).exit_code == 0


async def test_a_guest_that_promised_to_drain_and_does_not_is_killed_at_grace(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep", drain=Drain.STDIN_EOF)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        began = time.monotonic()
        await rig.peer.delete(plan, grace_s=3)
        end = await rig.peer.stopped(plan)
        assert (end.exit_code, end.reason, end.signal) == (137, "Error", 9)
        assert time.monotonic() - began >= 3


async def test_a_pod_without_a_process_ends_at_once(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, RESTART_DELAY_S="60", IMAGE_DELAY_S="60") as rig:
        crashing = rig.plan("exit_with", "3", name="crashing")
        missing = rig.plan("", image=f"file:{rig.executor.images}/none.wasm", name="missing")
        await rig.peer.apply(crashing)
        await rig.peer.apply(missing)
        await rig.peer.waiting(crashing, "CrashLoopBackOff")
        await rig.peer.waiting(missing, "ImagePullBackOff")
        await rig.peer.delete(crashing)
        await rig.peer.delete(missing)
        assert (await rig.peer.stopped(crashing)).exit_code == 3
        end = await rig.peer.stopped(missing)
        assert (end.exit_code, end.reason) == (137, "ContainerStatusUnknown")


async def test_a_pod_that_is_being_pulled_ends_at_once(tmp_path: Path) -> None:
    async def stall(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    async with await asyncio.start_server(stall, "127.0.0.1", 0) as registry:
        host = f"127.0.0.1:{registry.sockets[0].getsockname()[1]}"
        async with executor_rig(tmp_path, SLOW_START_S="0.1", INSECURE_REGISTRIES=host) as rig:
            plan = rig.plan("", image=f"{host}/x:1")
            await rig.peer.apply(plan)
            await rig.peer.waiting(plan, "ContainerCreating")
            await rig.peer.until(lambda: rig.peer.said(plan))
            assert rig.peer.said(plan) == [("Pulling", f'Pulling image "{host}/x:1"')]
            began = time.monotonic()
            await rig.peer.delete(plan, grace_s=30)
            assert (await rig.peer.stopped(plan)).reason == "ContainerStatusUnknown"
            assert time.monotonic() - began < 5
        gone.set()


async def test_a_pod_deleted_right_after_its_plan_ends(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plans = [rig.plan("sleep", name=f"p{number}") for number in range(20)]
        for plan in plans:
            await rig.peer.apply(plan)
            await rig.peer.delete(plan)
        for plan in plans:
            await rig.peer.stopped(plan)


async def test_a_forgotten_pod_leaves_nothing_behind(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        folder = tmp_path / "logs" / "pods" / f"default_p_{plan.uid}"
        assert folder.is_dir()
        await rig.peer.forget(plan)

        def gone() -> bool:
            return not rig.executor.traces_of(plan.uid)

        await rig.peer.until(gone)
        assert (await rig.peer.report_all()).entries == ()
        assert not folder.exists()


async def test_forgetting_a_pod_that_nobody_knows_is_done(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.forget(plan)
        assert (await rig.peer.report_all()).entries == ()
        assert not rig.executor.traces_of(plan.uid)


async def test_a_pod_of_the_same_name_is_another_pod(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        older = rig.plan("sleep", name="twin", drain=Drain.STDIN_EOF)
        await rig.peer.apply(older)
        await rig.peer.running(older)
        await rig.peer.delete(older, grace_s=4)
        younger = msgspec.structs.replace(older, uid=PodUid("another"), drain=Drain.NONE)
        await rig.peer.apply(younger)
        await rig.peer.running(younger)
        await rig.peer.stopped(older)
        shown = rig.peer.container(younger)
        assert shown is not None
        assert isinstance(shown.state, Running)


async def test_a_clean_stop_says_nothing_of_its_pods_and_gives_the_name_back(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep", drain=Drain.STDIN_EOF, termination_grace_s=2.0)
        await rig.peer.apply(plan)
        seen = await rig.peer.running(plan)
        assert await rig.executor.terminate() == 0
        assert rig.peer.released == [rig.peer.holder]
        assert rig.peer.container(plan) == seen


async def test_pods_of_every_policy_restart_in_place_after_a_clean_stop(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        told = {
            policy: rig.plan("sleep", name=policy.lower(), restart_policy=policy)
            for policy in RestartPolicy
        }
        drained = rig.plan(
            "echo", name="drained", drain=Drain.STDIN_EOF, restart_policy=RestartPolicy.ON_FAILURE
        )
        plans = {plan.uid: (plan, 143) for plan in told.values()} | {drained.uid: (drained, 0)}
        for plan, _ in plans.values():
            await rig.peer.apply(plan)
            await rig.peer.running(plan)
        assert await rig.executor.terminate() == 0
        rig.executor.start()
        await _second_life(rig)
        for plan, code in plans.values():
            shown = await rig.peer.running(plan, restarts=1)
            assert shown.restart_count == 1
            assert shown.last_state is not None
            assert shown.last_state.exit_code == code


async def _second_life(rig: Rig) -> None:
    await rig.peer.until(lambda: rig.peer.beats[-1].incarnation.start_count == 2)


def in_a_volume(plan: PodPlan, message_path: str) -> PodPlan:
    replace = msgspec.structs.replace
    mounted = Mount(volume="v", path="/v")
    container = replace(plan.containers[0], mounts=(mounted,), message_path=message_path)
    volumes = (VolumePlan(name="v", source=EmptyDir()),)
    return replace(plan, containers=(container,), volumes=volumes)


async def test_a_message_in_a_mounted_volume_is_told(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("volumes", "/v", "w", "end", "said", restart_policy=RestartPolicy.NEVER)
        plan = in_a_volume(plan, "/v/end")
        await rig.peer.apply(plan)
        ended = await rig.peer.stopped(plan)
        assert (ended.exit_code, ended.message) == (0, "said")


async def test_a_guest_drains_at_a_file_in_a_mounted_volume(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = in_a_volume(rig.plan("drain_file", drain=Drain.FILE), "/v/end")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        await rig.peer.delete(plan)
        assert (await rig.peer.stopped(plan)).exit_code == 0
