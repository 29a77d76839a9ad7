"""Pods on the real executor: what they come to, in the words of the kubelet."""

import shutil
from pathlib import Path

import msgspec
from executor_rig import executor_rig, guest_image

from contract.ids import ContainerName
from contract.messages.pod import ContainerPlan, RestartPolicy
from contract.messages.pull import PullPolicy
from contract.messages.report import Running, Terminated, Waiting


async def test_a_pod_runs_to_completion(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("exit_with", "0", restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(plan)
        end = await rig.peer.stopped(plan)
        assert (end.exit_code, end.reason) == (0, "Completed")
        report = rig.peer.latest(plan)
        assert report is not None
        assert report.containers[0].image_id.startswith("file:")
        assert end.container_id == report.containers[0].container_id


async def test_a_prompt_start_is_one_report_and_an_end_one_more(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, SLOW_START_S="5", SLOW_COMPILE_S="60") as rig:
        plan = rig.plan("sleep", restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        await rig.peer.delete(plan)
        await rig.peer.stopped(plan)
        assert [type(each.containers[0].state) for each in rig.peer.of(plan)] == [
            Running,
            Terminated,
        ]
        first, second = (each.sequence for each in rig.peer.of(plan))
        assert first < second
        assert [reason for reason, _ in rig.peer.said(plan)] == [
            "Pulled",
            "Created",
            "Started",
            "Killing",
        ]


async def test_a_slow_start_is_shown_as_container_creating(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, SLOW_START_S="0.001") as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        assert rig.peer.of(plan)[0].containers[0].state == Waiting(reason="ContainerCreating")


async def test_a_slow_compilation_is_told_of_the_container_that_waits(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path, SLOW_COMPILE_S="0.001") as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        reasons = ["Pulled", "Compiling", "Created", "Started"]
        await rig.peer.until(lambda: [reason for reason, _ in rig.peer.said(plan)] == reasons)
        assert {each.container for each in rig.peer.occurrences[plan.uid]} == {"c"}


async def test_the_exit_code_of_a_failed_pod_is_reported(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("exit_with", "3", restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(plan)
        end = await rig.peer.stopped(plan)
        assert (end.exit_code, end.reason) == (3, "Error")


async def test_a_failing_pod_restarts_at_once_and_then_with_back_off(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("exit_with", "3", restart_policy=RestartPolicy.ON_FAILURE)
        await rig.peer.apply(plan)
        waiting = await rig.peer.waiting(plan, "CrashLoopBackOff")
        assert waiting.message == (
            f"back-off 400ms restarting failed container=c pod=p_default({plan.uid})"
        )
        shown = rig.peer.container(plan)
        assert shown is not None
        assert shown.restart_count == 1
        assert shown.last_state is not None
        assert shown.last_state.exit_code == 3
        text = f"Back-off restarting failed container c in pod p_default({plan.uid})"
        await rig.peer.until(lambda: ("BackOff", text) in rig.peer.said(plan))

        def restarted() -> bool:
            seen = rig.peer.container(plan)
            return seen is not None and seen.restart_count >= 2

        await rig.peer.until(restarted)


async def test_a_pod_that_always_restarts_does_so_after_success_too(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("exit_with", "0", restart_policy=RestartPolicy.ALWAYS)
        await rig.peer.apply(plan)
        await rig.peer.waiting(plan, "CrashLoopBackOff")
        shown = rig.peer.container(plan)
        assert shown is not None
        assert shown.last_state is not None
        assert (shown.last_state.exit_code, shown.last_state.reason) == (0, "Completed")


async def test_arguments_and_environment_reach_the_guest(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan(
            "environ",
            "one two",
            env=(("A", "1"), ("B", "x=y"), ("A", "2")),
            restart_policy=RestartPolicy.NEVER,
        )
        await rig.peer.apply(plan)
        await rig.peer.stopped(plan)
        said = (await rig.peer.log(plan)).rstrip("\0").split("\0")
        assert said == ["environ.wasm", "one two", "A=2", "B=x=y"]


async def test_a_trap_is_an_error_with_its_message(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("trap", restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(plan)
        end = await rig.peer.stopped(plan)
        assert (end.exit_code, end.reason) == (134, "Error")
        assert "unreachable" in end.message


async def test_a_module_without_start_cannot_start(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        once = rig.plan("no_start", restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(once)
        end = await rig.peer.stopped(once)
        assert (end.exit_code, end.reason) == (128, "StartError")
        assert "_start" in end.message
        again = rig.plan("no_start", restart_policy=RestartPolicy.ALWAYS)
        await rig.peer.apply(again)
        waiting = await rig.peer.waiting(again, "RunContainerError")
        assert waiting.message == end.message
        await rig.peer.waiting(again, "CrashLoopBackOff")


async def test_what_is_no_module_waits_and_other_pods_do_not_notice(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        (rig.executor.images / "text.wasm").write_text("no module at all")
        broken = rig.plan("", image=f"file:{rig.executor.images}/text.wasm", name="broken")
        healthy = rig.plan("sleep", name="healthy")
        await rig.peer.apply(broken)
        await rig.peer.apply(healthy)
        await rig.peer.waiting(broken, "CreateContainerError")
        await rig.peer.running(healthy)


async def test_an_image_that_is_not_there_is_asked_for_again(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        path = rig.executor.images / "late.wasm"
        plan = rig.plan("", image=f"file:{path}")
        await rig.peer.apply(plan)
        await rig.peer.waiting(plan, "ErrImagePull")
        waiting = await rig.peer.waiting(plan, "ImagePullBackOff")
        assert waiting.message.startswith(f'Back-off pulling image "file:{path}": ErrImagePull: ')
        shutil.copyfile(guest_image(rig.executor.images, "sleep").removeprefix("file:"), path)
        await rig.peer.running(plan)
        said = rig.peer.said(plan)
        assert ("Failed", "Error: ErrImagePull") in said
        assert ("Failed", "Error: ImagePullBackOff") in said
        assert ("BackOff", f'Back-off pulling image "file:{path}"') in said


async def test_names_and_policies_that_allow_no_image_say_so(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        unnamed = rig.plan("", image="not a name", name="unnamed")
        never = rig.plan("", image="nowhere.example/x", pull_policy=PullPolicy.NEVER, name="never")
        await rig.peer.apply(unnamed)
        await rig.peer.apply(never)
        await rig.peer.waiting(unnamed, "InvalidImageName")
        waiting = await rig.peer.waiting(never, "ErrImageNeverPull")
        assert waiting.message == (
            'Container image "nowhere.example/x" is not present with pull policy of Never'
        )


async def test_a_guest_over_its_memory_limit_is_oom_killed(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan(
            "greedy", memory_limit_bytes=16 * 1024 * 1024, restart_policy=RestartPolicy.NEVER
        )
        modest = rig.plan("sleep", memory_limit_bytes=4 * 1024 * 1024, name="modest")
        await rig.peer.apply(modest)
        await rig.peer.running(modest)
        await rig.peer.apply(plan)
        end = await rig.peer.stopped(plan)
        assert (end.exit_code, end.reason) == (137, "OOMKilled")
        shown = rig.peer.container(modest)
        assert shown is not None
        assert isinstance(shown.state, Running)
        assert shown.restart_count == 0


async def test_the_containers_of_a_pod_end_each_for_itself(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("exit_with", "0", restart_policy=RestartPolicy.NEVER)
        other = ContainerPlan(
            name=ContainerName("d"), image=guest_image(rig.executor.images, "sleep")
        )
        plan = msgspec.structs.replace(plan, containers=(*plan.containers, other))
        await rig.peer.apply(plan)

        def one_of_two() -> bool:
            first, second = rig.peer.container(plan, "c"), rig.peer.container(plan, "d")
            return (
                first is not None
                and second is not None
                and isinstance(first.state, Terminated)
                and isinstance(second.state, Running)
            )

        await rig.peer.until(one_of_two)
        report = rig.peer.latest(plan)
        assert report is not None
        assert not report.stopped


async def test_another_image_replaces_the_running_container(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        image = guest_image(rig.executor.images, "drain")
        changed = msgspec.structs.replace(plan.containers[0], image=image, stdin=True)
        plan = msgspec.structs.replace(plan, containers=(changed,))
        await rig.peer.apply(plan)
        shown = await rig.peer.running(plan, restarts=1)
        assert shown.image == image
