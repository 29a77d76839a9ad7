"""What the executor tells of use: of busy and idle guests, of logs and volumes, of itself."""

import asyncio
import os
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
from executor_rig import NODE, Rig, executor_rig

from contract.messages.health import Probe, TcpSocket
from contract.messages.pod import PodPlan
from contract.messages.usage import ContainerUsage, PodUsage, Usage, UsageRead, UsageShown
from contract.messages.volume import EmptyDir, Mount, VolumePlan

HALF_A_SECOND_NS = 500_000_000
ROUNDING_NS = 20_000_000


def often_measured(folder: Path) -> AbstractAsyncContextManager[Rig]:
    return executor_rig(folder, USAGE_INTERVAL_S="0.05", SPACE_INTERVAL_S="0.05")


async def shown(rig: Rig, *, files: bool = False) -> UsageShown:
    return await rig.peer.ask(UsageRead(node=NODE, files=files))


def of(answer: UsageShown, plan: PodPlan) -> PodUsage:
    return next(each for each in answer.pods if each.uid == plan.uid)


def container(answer: UsageShown, plan: PodPlan) -> ContainerUsage:
    (only,) = of(answer, plan).containers
    return only


def usage(answer: UsageShown, plan: PodPlan) -> Usage:
    found = container(answer, plan).usage
    assert found is not None
    return found


def taken_ns(pid: int) -> int:
    """What a process has used, as the kernel counts: in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 10**9 // os.sysconf("SC_CLK_TCK")


async def test_a_busy_guest_uses_what_it_takes_and_an_idle_one_next_to_nothing(
    tmp_path: Path,
) -> None:
    async with often_measured(tmp_path) as rig:
        busy, idle = rig.plan("spin", name="busy"), rig.plan("sleep", name="idle")
        await rig.peer.apply(busy)
        await rig.peer.running(busy)
        (pid,) = rig.executor.container_pids()
        await rig.peer.apply(idle)
        await rig.peer.running(idle)
        before = taken_ns(pid)
        first = await shown(rig)
        between = taken_ns(pid)
        await rig.peer.until(lambda: taken_ns(pid) - between > HALF_A_SECOND_NS)
        least = taken_ns(pid) - between
        second = await shown(rig)
        most = taken_ns(pid) - before
        used = usage(second, busy).core_nanoseconds - usage(first, busy).core_nanoseconds
        passed_s = (usage(second, busy).at - usage(first, busy).at).total_seconds()
        assert least - ROUNDING_NS <= used <= most + ROUNDING_NS
        assert abs(usage(second, busy).nano_cores - used / passed_s) < 1e8
        assert 0 < usage(second, idle).core_nanoseconds < 5e8
        assert usage(second, idle).nano_cores < 1e8
        assert 0 < usage(second, idle).memory_bytes < 16 << 20
        total = second.node.core_nanoseconds
        assert total - first.node.core_nanoseconds > used * 0.8
        assert second.services.core_nanoseconds < total
        assert second.services.memory_bytes < second.node.memory_bytes < 400 << 20
        assert second.node.processes > second.services.processes
        report = rig.peer.container(busy)
        assert report is not None
        assert usage(second, busy).since == report.state.started_at  # type: ignore[union-attr] # it runs
        assert container(second, busy).id == report.container_id


async def test_what_ended_runs_have_used_stays_in_their_pods_total(tmp_path: Path) -> None:
    async with often_measured(tmp_path) as rig:
        plan = rig.plan("spin")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        used = usage(await shown(rig), plan).core_nanoseconds
        (pid,) = rig.executor.container_pids()
        os.kill(pid, signal.SIGKILL)
        await rig.peer.running(plan, restarts=1)
        async with asyncio.timeout(10):
            while of(await shown(rig), plan).ended_core_nanoseconds < used:
                pass


async def test_memory_that_a_guest_takes_is_shown_beside_its_limit(tmp_path: Path) -> None:
    async with often_measured(tmp_path) as rig:
        plan = rig.plan("greedy", memory_limit_bytes=64 << 20)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        async with asyncio.timeout(20):
            while usage(await shown(rig), plan).memory_bytes < 8 << 20:
                pass
        assert container(await shown(rig), plan).memory_limit_bytes == 64 << 20


async def test_all_who_ask_within_the_interval_get_one_measurement(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        answers = await asyncio.gather(*(shown(rig) for _ in range(20)))
        assert {usage(each, plan).at for each in answers} == {usage(answers[0], plan).at}


async def test_a_container_that_has_just_started_is_measured_at_once(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, USAGE_INTERVAL_S="600", SPACE_INTERVAL_S="600") as rig:
        first = await shown(rig, files=True)
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        second = await shown(rig, files=True)
        assert second.node.at > first.node.at
        assert container(second, plan).usage is not None
        assert container(second, plan).logs is not None
        assert (await shown(rig, files=True)).node.at == second.node.at


async def test_logs_and_volumes_are_measured_where_files_are_asked_for(tmp_path: Path) -> None:
    async with often_measured(tmp_path) as rig:
        volume = VolumePlan(name="v", source=EmptyDir())
        plan = rig.plan("hello", volumes=(volume,))
        mounted = msgspec.structs.replace(
            plan.containers[0], mounts=(Mount(volume="v", path="/v"),)
        )
        plan = msgspec.structs.replace(plan, containers=(mounted,))
        await rig.peer.apply(plan)
        await rig.peer.until(lambda: rig.peer.latest(plan) is not None)
        await rig.peer.until(lambda: bool(rig.executor.traces_of(plan.uid)))
        place = rig.executor.folder / "data" / "volumes" / "pods" / plan.uid / "empty" / "v"
        await rig.peer.until(place.exists)
        (place / "file").write_bytes(b"x" * 100_000)
        assert of(await shown(rig), plan).volumes == ()

        async def told() -> bool:
            pod = of(await shown(rig, files=True), plan)
            (only,) = pod.containers
            written = only.logs is not None and only.logs.used_bytes > 0
            return written and pod.volumes[0].files.used_bytes >= 100_000

        async with asyncio.timeout(10):
            while not await told():
                pass
        answer = await shown(rig, files=True)
        assert answer.file_system is not None
        assert answer.file_system.capacity_bytes == _capacity(tmp_path)


def _capacity(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize


async def test_probes_are_counted_by_their_outcome(tmp_path: Path) -> None:
    async with often_measured(tmp_path) as rig:
        probe = Probe(action=TcpSocket(port=1), period_s=1)
        plan = rig.plan("sleep", pod_ip="127.0.0.1")
        probed = msgspec.structs.replace(plan.containers[0], readiness=probe)
        plan = msgspec.structs.replace(plan, containers=(probed,))
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        async with asyncio.timeout(20):
            while not container(await shown(rig), plan).probes:
                pass
        (count,) = container(await shown(rig), plan).probes
        assert (count.kind, count.successful, count.unknown) == ("readiness", 0, 0)
        assert count.failed >= 1


async def test_a_large_node_answers_in_pages(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, MAX_PODS="110") as rig:
        plans = [rig.plan("exit_code", name=f"p{n}", image="file:/none") for n in range(101)]
        for plan in plans:
            await rig.peer.apply(plan)
        first = await shown(rig)
        assert len(first.pods) == 100
        second = await rig.peer.ask(UsageRead(node=NODE, after=first.after))
        assert second.after == ""
        listed = [each.uid for each in (*first.pods, *second.pods)]
        assert listed == sorted(plan.uid for plan in plans)
