"""What the executor counts as a kubelet does, asked for with its usage."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from executor_rig import NODE, executor_rig

from contract.errors import CommandError
from contract.messages.health import Exec, Probe
from contract.messages.stream import AttachOpen, ExecOpen, ForwardOpen
from contract.messages.usage import UsageRead, UsageShown
from contract.messages.volume import EmptyDir, HostPath, VolumePlan
from wasm_executor.keeper.errors import UnknownContainerError
from wasm_executor.supervisor.kubeletseries import counted, operation


def value(answer: UsageShown, name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels."""
    return sum(
        sample.value
        for family in answer.counted
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def test_a_pods_life_is_counted_in_the_kubelets_series(tmp_path: Path) -> None:
    (folder := tmp_path / "disk").mkdir()
    async with executor_rig(tmp_path, HOST_PATH_PREFIXES=str(folder)) as rig:
        disk = HostPath(path=str(folder), claim="disk")
        volumes = (
            VolumePlan(name="scratch", source=EmptyDir()),
            VolumePlan(name="data", source=disk),
        )
        plan = rig.plan("sleep", volumes=volumes)
        before = await rig.peer.ask(UsageRead(node=NODE, counted=True))
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        after = await rig.peer.ask(UsageRead(node=NODE, counted=True))
        assert value(before, "kubelet_pod_start_duration_seconds_count") == 0
        assert value(after, "kubelet_pod_start_duration_seconds_count") == 1
        assert value(after, "kubelet_pod_start_duration_seconds_bucket", le="60.0") == 1
        turns = "kubelet_pod_worker_duration_seconds_count"
        assert value(after, turns, operation_type="create") == 1
        assert value(after, turns, operation_type="sync") > 0
        started = {"operation_type": "start_container"}
        assert value(after, "kubelet_runtime_operations_total", **started) == 1
        assert value(after, "kubelet_runtime_operations_duration_seconds_count", **started) == 1
        assert value(after, "kubelet_runtime_operations_errors_total", **started) == 0
        async with asyncio.timeout(30):  # until a second beat
            while not value(after, "kubelet_pleg_relist_interval_seconds_sum"):
                await asyncio.sleep(0.05)
                after = await rig.peer.ask(UsageRead(node=NODE, counted=True))
        assert value(after, "kubelet_pleg_relist_duration_seconds_count") > 1
        unasked = await rig.peer.ask(UsageRead(node=NODE))
        assert unasked.counted == ()
        for state in ("desired_state_of_world", "actual_state_of_world"):
            assert value(after, "volume_manager_total_volumes", state=state) == 2
        (claim,) = (each for pod in after.pods for each in pod.volumes)
        assert claim.claim == "disk"
        assert claim.room is not None
        assert claim.room.capacity_bytes >= claim.files.used_bytes > 0
        made = {"volume_plugin": "kubernetes.io/empty-dir", "status": "success"}
        assert value(after, "storage_operation_duration_seconds_count", **made) == 1


async def test_commands_and_connections_are_operations(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        probe = Probe(action=Exec(command=("commands.wasm", "fail")), period_s=0.1)
        plan = rig.plan("commands")
        (container,) = plan.containers
        replace = msgspec.structs.replace
        plan = replace(plan, containers=(replace(container, readiness=probe),))
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        where: Any = {"namespace": plan.namespace, "pod": plan.name}
        await rig.peer.ask(ExecOpen(stream="1", container="c", command=("none",), **where))
        await rig.peer.ask(AttachOpen(stream="2", container="c", **where))
        await rig.peer.ask(ForwardOpen(stream="3", port=0, **where))
        with pytest.raises(CommandError, match="not found"):
            await rig.peer.ask(ExecOpen(stream="4", container="d", command=("none",), **where))
        with pytest.raises(CommandError, match="connection refused"):
            await rig.peer.ask(ForwardOpen(stream="5", port=9, **where))

        async def counted_once_probed() -> bool:
            told = await rig.peer.ask(UsageRead(node=NODE, counted=True))
            operations = {
                kind: (
                    value(told, "kubelet_runtime_operations_total", operation_type=kind),
                    value(told, "kubelet_runtime_operations_errors_total", operation_type=kind),
                )
                for kind in ("exec", "attach", "port_forward")
            }
            assert operations == {"exec": (2, 1), "attach": (1, 0), "port_forward": (2, 1)}
            kind = "exec_sync"
            return value(told, "kubelet_runtime_operations_total", operation_type=kind) > 0

        async with asyncio.timeout(30):
            while not await counted_once_probed():
                await asyncio.sleep(0.05)


def test_what_fails_is_an_error_and_what_has_ended_is_none() -> None:
    def errors() -> dict[str, float]:
        return {
            sample.labels["operation_type"]: sample.value
            for family in counted()
            for sample in family.samples
            if sample.name == "kubelet_runtime_operations_errors_total"
        }

    with pytest.raises(UnknownContainerError), operation("has_ended"):
        raise UnknownContainerError("u-1/c/0")
    with pytest.raises(OSError, match="no"), operation("fails"):
        raise OSError("no")
    with operation("is_refused") as failed:
        failed()
    shown = errors()
    assert (shown["has_ended"], shown["fails"], shown["is_refused"]) == (0, 1, 1)
