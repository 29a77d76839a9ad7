"""What the executor counts as a kubelet does, asked for with its usage."""

from pathlib import Path

import pytest
from executor_rig import NODE, executor_rig

from contract.messages.usage import UsageRead, UsageShown
from contract.messages.volume import EmptyDir, VolumePlan
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
    async with executor_rig(tmp_path) as rig:
        volume = VolumePlan(name="scratch", source=EmptyDir())
        plan = rig.plan("sleep", volumes=(volume,))
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
        unasked = await rig.peer.ask(UsageRead(node=NODE))
        assert unasked.counted == ()
        made = {"volume_plugin": "kubernetes.io/empty-dir", "status": "success"}
        assert value(after, "storage_operation_duration_seconds_count", **made) == 1


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
