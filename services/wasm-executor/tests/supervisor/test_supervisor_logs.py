"""Reading logs through the executor: which run, from where, to which end."""

import asyncio
import itertools
import shutil
from pathlib import Path

import pytest
from executor_rig import Rig, executor_rig, text_of

from contract.errors import CommandError
from contract.messages.log import LogOpen, LogRead
from contract.messages.pod import PodPlan, RestartPolicy


async def refusal_of(rig: Rig, pod: str, container: str = "c", **options: object) -> CommandError:
    command = LogOpen(namespace="default", pod=pod, container=container, **options)  # type: ignore[arg-type]  # options by name
    with pytest.raises(CommandError) as refusal:
        await rig.peer.ask(command)
    return refusal.value


async def test_what_cannot_be_read_is_refused_in_the_words_of_the_kubelet(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, ERROR_SHOWN_S="1", IMAGE_DELAY_S="30") as rig:
        missing = rig.plan("", image=f"file:{rig.executor.images}/none.wasm", name="missing")
        running = rig.plan("sleep", name="running")
        never = rig.plan("", image="x" * 300, name="unnamed")
        for plan in (missing, running, never):
            await rig.peer.apply(plan)
        await rig.peer.running(running)
        await rig.peer.waiting(missing, "ErrImagePull")
        await rig.peer.waiting(never, "InvalidImageName")

        async def said(pod: str, container: str = "c", **options: object) -> tuple[int, str]:
            error = await refusal_of(rig, pod, container, **options)
            return error.code, error.message

        assert await said("nobody") == (404, 'pod "nobody" does not exist')
        assert await said("running", "d") == (404, 'container "d" not found in pod "running"')
        assert await said("running", previous=True) == (
            400,
            'previous terminated container "c" in pod "running" not found',
        )
        waits = 'container "c" in pod "{}" is waiting to start: {}'
        assert await said("missing") == (400, waits.format("missing", "image can't be pulled"))
        assert await said("unnamed") == (400, waits.format("unnamed", "InvalidImageName"))
        await rig.peer.waiting(missing, "ImagePullBackOff")
        assert await said("missing") == (
            400,
            waits.format("missing", "trying and failing to pull image"),
        )
        await rig.peer.delete(missing)
        await rig.peer.stopped(missing)
        assert await said("missing") == (400, 'container "c" in pod "missing" is terminated')


async def test_each_run_has_a_log_and_a_waiting_container_shows_its_last(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, RESTART_DELAY_S="60") as rig:
        plan = rig.plan("hello")
        await rig.peer.apply(plan)
        await rig.peer.waiting(plan, "CrashLoopBackOff")
        whole = "hello\nworld\noh\n"
        assert sorted((await rig.peer.log(plan)).split()) == sorted(whole.split())
        assert sorted((await rig.peer.log(plan, previous=True)).split()) == sorted(whole.split())


@pytest.mark.parametrize("lines", [0, 1, 7, 5000])
async def test_a_tail_counts_lines_from_the_end(tmp_path: Path, lines: int) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("counter", "20000", restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(plan)
        await rig.peer.stopped(plan)
        text = await rig.peer.log(plan, tail_lines=lines)
        assert [int(line) for line in text.splitlines()] == list(range(20000 - lines, 20000))


async def test_following_crosses_rotations_and_ends_with_the_run(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, LOG_MAX_BYTES="65536", LOG_MAX_FILES="100") as rig:
        plan = rig.plan("counter", "40000", restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(plan)
        command = LogOpen(namespace="default", pod="p", container="c")
        await rig.peer.until(lambda: rig.peer.latest(plan))
        cursor, content, ended = (await rig.peer.ask(command)).cursor, b"", False
        async with asyncio.timeout(30):
            while not ended:
                chunk = await rig.peer.ask(LogRead(cursor=cursor, wait_s=5), timeout_s=10)
                content, cursor, ended = content + chunk.data, chunk.cursor, chunk.end
        assert [int(line) for line in text_of(content).splitlines()] == list(range(40000))
        rotated = list((tmp_path / "logs").glob("pods/*/c/0.log.*"))
        assert len(rotated) > 10
        text = await rig.peer.log(plan, tail_lines=9000)
        assert [int(line) for line in text.splitlines()] == list(range(31000, 40000))


async def test_a_log_is_read_in_the_midst_of_its_rotation(tmp_path: Path) -> None:
    """For a moment the file that is written has its old name no more, and nobody its new one."""
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("counter", "10", restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(plan)
        await rig.peer.stopped(plan)
        (log,) = (tmp_path / "logs").glob("pods/*/c/0.log")
        log.rename(log.with_name(f"{log.name}.20260131-120000"))
        assert [int(line) for line in (await rig.peer.log(plan)).splitlines()] == list(range(10))


async def test_a_long_poll_answers_when_a_line_comes_and_when_none_does(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("drain", stdin=True)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        command = LogOpen(namespace="default", pod="p", container="c")
        cursor = (await rig.peer.ask(command)).cursor
        first = await rig.peer.ask(LogRead(cursor=cursor, wait_s=5))
        assert text_of(first.data) == "ready\n"
        read = LogRead(cursor=first.cursor, wait_s=0.3)
        quiet = await rig.peer.ask(read)
        assert (quiet.data, quiet.end) == (b"", False)
        await rig.peer.forget(plan)
        ended = LogRead(cursor=quiet.cursor, wait_s=10)
        assert (await rig.peer.ask(ended, timeout_s=15)).end


async def test_a_chunk_takes_the_pages_that_the_one_before_it_freed(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("counter", "100000", restart_policy=RestartPolicy.NEVER)
        await rig.peer.apply(plan)
        await rig.peer.stopped(plan)
        await read_plainly(rig)
        before = page_faults(rig)
        chunks = await read_plainly(rig)
        assert chunks > 10
        assert page_faults(rig) - before < 50 * chunks  # without that, 170 each


async def read_plainly(rig: Rig) -> int:
    """Read all that the log says; return in how many chunks."""
    cursor = (await rig.peer.ask(LogOpen(namespace="default", pod="p", container="c"))).cursor
    for count in itertools.count():
        chunk = await rig.peer.ask(LogRead(cursor=cursor, plain=True))
        if not chunk.data:
            return count
        cursor = chunk.cursor
    raise AssertionError


def page_faults(rig: Rig) -> int:
    stat = Path(f"/proc/{rig.executor.supervisor_pid()}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[7])


async def test_a_cursor_of_somebody_else_is_refused(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        with pytest.raises(CommandError, match="not a cursor"):
            await rig.peer.ask(LogRead(cursor="../../x"))


async def reboot(rig: Rig) -> None:
    """Stop the executor in peace, lose what was in memory, and start it on its data directory."""
    await rig.executor.terminate()
    shutil.rmtree(rig.executor.run_dir)
    await rig.start_again()


async def test_the_logs_of_an_ended_pod_outlive_a_reboot_and_end_when_it_is_forgotten(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path, RESTART_DELAY_S="0.1", RESTART_DELAY_MAX_S="60") as rig:
        plan = rig.plan("counter", "3", restart_policy=RestartPolicy.NEVER)
        again = rig.plan("hello", name="again")
        await rig.peer.apply(plan)
        await rig.peer.apply(again)
        await rig.peer.stopped(plan)
        await rig.peer.until(lambda: seen_runs(tmp_path, again) >= 2)
        await reboot(rig)
        left = {each.uid: each for each in (await rig.peer.report_all()).entries}
        assert left[plan.uid].plan_digest == ""
        assert (left[plan.uid].namespace, left[plan.uid].name) == ("default", "p")
        for _ in range(2):
            assert numbers_of(await rig.peer.log(plan)) == [0, 1, 2]
            assert numbers_of(await rig.peer.log(plan, tail_lines=1)) == [2]
            earlier = await rig.peer.log(again, previous=True)
            assert sorted(earlier.split()) == ["hello", "oh", "world"]
            none_before = await refusal_of(rig, "p", previous=True)
            assert none_before.message == ('previous terminated container "c" in pod "p" not found')
            unknown = await refusal_of(rig, "p", "d")
            assert (unknown.code, unknown.message) == (404, 'container "d" not found in pod "p"')
            await reboot(rig)
        await rig.peer.forget(plan)
        await rig.peer.until(lambda: not rig.executor.traces_of(plan.uid))
        gone = await refusal_of(rig, "p")
        assert (gone.code, gone.message) == (404, 'pod "p" does not exist')


async def test_of_two_ended_pods_of_one_name_the_younger_is_read_after_a_reboot(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        for count in ("2", "3"):
            plan = rig.plan("counter", count, restart_policy=RestartPolicy.NEVER)
            await rig.peer.apply(plan)
            await rig.peer.stopped(plan)
        await reboot(rig)
        assert numbers_of(await rig.peer.log(plan)) == [0, 1, 2]
        outside = await rig.peer.ask(LogRead(cursor=f"{plan.uid}/../0/0/0/0"))
        assert (outside.data, outside.end) == (b"", True)


def numbers_of(text: str) -> list[int]:
    return [int(line) for line in text.splitlines()]


def seen_runs(folder: Path, plan: PodPlan) -> int:
    return len(list((folder / "logs" / "pods").glob(f"*_{plan.uid}/c/*.log")))


async def test_a_pod_with_the_longest_name_there_may_be_runs_and_has_its_log(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("steady", name="p" * 253)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        assert (await rig.peer.line(plan)).startswith("0000000000\n")
        (folder,) = (tmp_path / "logs" / "pods").iterdir()
        assert len(folder.name) == 255
        assert folder.name.startswith("default_ppp")
        assert folder.name.endswith(f"_{plan.uid}")
