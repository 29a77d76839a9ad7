"""Pods that keep more in an emptyDir than they may are evicted; the others never notice."""

from pathlib import Path

import msgspec
import pytest
from executor_rig import NODE, Executor, Rig, executor_rig

from contract.ids import PodUid
from contract.messages.pod import PodPlan
from contract.messages.usage import UsageRead
from contract.messages.volume import EmptyDir, Mount, VolumePlan
from wasm_executor.supervisor.usage.evicting import excess, quantity
from wasm_executor.volumes.measuring import Usage

LIMIT = 64 * 1024


def with_volume(rig: Rig, name: str, source: EmptyDir) -> PodPlan:
    plan = rig.plan("sleep", name=name, volumes=(VolumePlan(name="v", source=source),))
    mounted = Mount(volume="v", path="/v")
    replace = msgspec.structs.replace
    return replace(plan, containers=(replace(plan.containers[0], mounts=(mounted,)),))


def folder_of(executor: Executor, plan: PodPlan, *, memory: bool) -> Path:
    place = executor.run_dir if memory else executor.folder / "data"
    return place / "volumes" / "pods" / plan.uid / "empty" / "v"


@pytest.mark.parametrize("memory", [False, True])
async def test_pod_that_exceeds_its_limit_is_evicted_and_others_go_on(
    tmp_path: Path, *, memory: bool
) -> None:
    async with executor_rig(tmp_path, EVICTION_INTERVAL_S="0.1") as rig:
        limited = EmptyDir(memory=memory, size_limit_bytes=LIMIT)
        plans = {
            "over": with_volume(rig, "over", limited),
            "within": with_volume(rig, "within", limited),
            "unlimited": with_volume(rig, "unlimited", EmptyDir(memory=memory)),
        }
        for plan in plans.values():
            await rig.peer.apply(plan)
            await rig.peer.running(plan)
        others = rig.executor.container_pids()
        for name, size in (("within", LIMIT), ("unlimited", 4 * LIMIT), ("over", LIMIT + 4096)):
            folder = folder_of(rig.executor, plans[name], memory=memory)
            (folder / "file").write_bytes(b"x" * size)
        await rig.peer.stopped(plans["over"])
        report = rig.peer.latest(plans["over"])
        assert report is not None
        text = 'Usage of EmptyDir volume "v" exceeds the limit "64Ki". '
        assert (report.reason, report.message) == ("Evicted", text)
        events = [
            each for each in rig.peer.occurrences[plans["over"].uid] if each.reason == "Evicted"
        ]
        assert [(each.type, each.message) for each in events] == [("Warning", text)]
        assert len(rig.executor.container_pids() & others) == 2
        told = await rig.peer.ask(UsageRead(node=NODE, counted=True))
        (evictions,) = (each for each in told.counted if each.name == "kubelet_evictions")
        assert [(each.name, each.labels, each.value) for each in evictions.samples] == [
            ("kubelet_evictions", {"eviction_signal": "emptydirfs.limit"}, 1)
        ]


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (64 * 1024, "64Ki"),
        (1 << 30, "1Gi"),
        (500_000_000, "500M"),
        (1_500_000, "1500k"),
        (1025, "1025"),
        (3 << 19, "1536Ki"),
    ],
)
def test_limit_is_told_as_kubernetes_writes_it(size_bytes: int, text: str) -> None:
    assert quantity(size_bytes) == text


def test_volume_that_nobody_could_look_at_whole_is_over_its_limit() -> None:
    volume = VolumePlan(name="v", source=EmptyDir(size_limit_bytes=LIMIT))
    plan = PodPlan(uid=PodUid("u"), namespace="n", name="p", containers=(), volumes=(volume,))
    assert excess(plan, {"v": Usage(LIMIT, complete=True)}) is None
    said = excess(plan, {"v": Usage(0, complete=False)})
    assert said is not None
    assert said.startswith('Usage of EmptyDir volume "v" exceeds the limit "64Ki". ')


def test_limit_of_nothing_is_no_limit() -> None:
    volume = VolumePlan(name="v", source=EmptyDir(size_limit_bytes=0))
    plan = PodPlan(uid=PodUid("u"), namespace="n", name="p", containers=(), volumes=(volume,))
    assert excess(plan, {"v": Usage(1, complete=True)}) is None
