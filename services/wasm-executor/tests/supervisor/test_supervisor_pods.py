"""A pod on the real executor: it runs, it is reported, it is deleted."""

from pathlib import Path

from executor_rig import executor_rig

from contract.messages.pod import RestartPolicy


async def test_a_pod_runs_to_completion_and_is_reported_once_per_state(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("exit_with", "0", restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(plan)
        end = await rig.peer.stopped(plan)
        assert (end.exit_code, end.reason) == (0, "Completed")
