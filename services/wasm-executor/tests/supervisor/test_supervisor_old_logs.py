"""Which logs of a container's earlier runs stay, and for how long."""

from pathlib import Path
from typing import Any

from executor_rig import Rig, executor_rig, text_of

from contract.ids import ContainerName, PodUid
from contract.messages.log import LogOpen, LogRead
from contract.messages.pod import PodPlan
from wasm_executor.supervisor.logs.logreaders import READS_AGAIN_WITHIN_S, LogReaders
from wasm_executor.supervisor.pods.runs import RunKey

LINES = 4000
ROTATED: dict[str, Any] = {
    "LOG_MAX_BYTES": "65536",
    "RESTART_DELAY_S": "0.1",
    "RESTART_DELAY_MAX_S": "60",
}


def runs_on_disk(folder: Path) -> set[int]:
    return {int(log.name.partition(".")[0]) for log in folder.glob("logs/pods/*/c/*")}


def has_rotated(folder: Path) -> bool:
    return any(folder.glob("logs/pods/*/c/*.log.*"))


def restarts(rig: Rig, plan: PodPlan) -> int:
    shown = rig.peer.container(plan)
    return -1 if shown is None else shown.restart_count


async def test_a_container_that_crashes_for_ever_keeps_the_logs_of_two_runs(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path, **ROTATED) as rig:
        plan = rig.plan("counter", str(LINES))
        await rig.peer.apply(plan)
        await rig.peer.until(lambda: restarts(rig, plan) >= 5)
        await rig.peer.waiting(plan, "CrashLoopBackOff")
        last = restarts(rig, plan)
        assert runs_on_disk(tmp_path) == {last - 1, last}
        assert has_rotated(tmp_path)
        for previous in (False, True):
            text = await rig.peer.log(plan, previous=previous)
            assert [int(line) for line in text.splitlines()] == list(range(LINES))


async def test_a_log_that_somebody_reads_stays_until_he_has_read_it(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, **ROTATED) as rig:
        plan = rig.plan("counter", str(LINES))
        await rig.peer.apply(plan)
        await rig.peer.until(lambda: restarts(rig, plan) >= 0 and runs_on_disk(tmp_path))
        await rig.peer.until(lambda: rig.peer.said(plan))
        opened = await rig.peer.ask(LogOpen(namespace="default", pod="p", container="c"))
        run = int(opened.cursor.split("/")[2])
        content, cursor, ended = b"", opened.cursor, False
        while not ended:
            chunk = await rig.peer.ask(LogRead(cursor=cursor, max_bytes=1, wait_s=5), timeout_s=10)
            content, cursor, ended = content + chunk.data, chunk.cursor, chunk.end
            await rig.peer.until(lambda: restarts(rig, plan) >= run + 3)
        assert [int(line) for line in text_of(content).splitlines()] == list(range(LINES))
        assert run in runs_on_disk(tmp_path)


def test_who_has_not_read_for_a_while_reads_no_more() -> None:
    moment = 100.0
    readers = LogReaders(lambda: moment)
    uid, name = PodUid("u-1"), ContainerName("c")
    readers.saw(RunKey(uid, name, 3))
    readers.saw(RunKey(uid, ContainerName("d"), 4))
    moment += READS_AGAIN_WITHIN_S
    readers.saw(RunKey(uid, name, 5))
    assert readers.of(uid, name) == {3, 5}
    moment += 1
    assert readers.of(uid, name) == {5}
    assert readers.of(PodUid("u-2"), name) == set()
