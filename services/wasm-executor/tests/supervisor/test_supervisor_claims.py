"""The rooms of claims: who is asked, how often, and what an answer that never comes costs."""

import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from executor_rig import NODE

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, PodPlan
from contract.messages.usage import UsageRead
from contract.messages.volume import HostPath, VolumePlan
from wasm_executor.domain.states import Phase
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor.usage import answering, claimrooms


def with_claims(uid: str, *paths: str) -> PodPlan:
    container = ContainerPlan(name=ContainerName("c"), image="i")
    volumes = tuple(VolumePlan(name=path, source=HostPath(path=path, claim="c")) for path in paths)
    return PodPlan(
        uid=PodUid(uid), namespace="n", name=uid, containers=(container,), volumes=volumes
    )


async def test_a_claim_that_does_not_answer_holds_up_nobody_and_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, released = list[str](), threading.Event()
    real = os.statvfs

    def statvfs(path: str) -> os.statvfs_result:
        asked.append(path)
        if path == "/hung":
            released.wait()
        return real(tmp_path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    monkeypatch.setattr(claimrooms, "PATIENCE_S", 0.2)
    plan = with_claims("u", "/hung", "/well")
    rooms = claimrooms.ClaimRooms()
    try:
        for _ in range(3):
            assert list(await rooms.told([plan])) == ["/well"]
        assert (asked.count("/hung"), asked.count("/well")) == (1, 3)
        assert list(rooms._asked) == ["/hung"]
    finally:
        released.set()


async def test_a_claim_is_asked_later_where_there_was_no_thread_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    plan, rooms = with_claims("u", str(tmp_path)), claimrooms.ClaimRooms()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        assert await rooms.told([plan]) == {}
    assert list(await rooms.told([plan])) == [str(tmp_path)]


def running(plan: PodPlan) -> Any:
    """As much of a pod's task as a page shows."""
    history = SimpleNamespace(run=0, started_at=None, shown_id="", latest_end=None)
    container = SimpleNamespace(
        plan=plan.containers[0], pid=os.getpid(), history=history, phase=Phase.RUNNING
    )
    return SimpleNamespace(
        pod=SimpleNamespace(plan=plan, containers=[container]),
        started_at=datetime.now(UTC),
        probes=SimpleNamespace(of=lambda _: ()),
    )


async def test_a_page_asks_the_claims_of_its_own_pods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
    asked, real = list[str](), os.statvfs

    def statvfs(path: str) -> os.statvfs_result:
        asked.append(path)
        return real(path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    monkeypatch.setattr(answering, "PAGE_PODS", 1)
    monkeypatch.setattr(answering, "count_volumes", lambda _: None)
    roster = [running(with_claims(folder.name, str(folder))) for folder in folders]
    settings = ExecutorSettings(node_name=NODE, data_dir=tmp_path, run_dir=tmp_path)
    facts = SimpleNamespace(cpu_millis=1000, memory_bytes=1 << 30)
    node = cast("Any", SimpleNamespace(settings=settings))
    desk = answering.UsageDesk(node, cast("Any", roster), cast("Any", facts))
    after, seen = "", []
    while True:
        command = UsageRead(node=NODE, files=False, counted=True, after=after)
        page = await desk.read(NODE, command)
        seen += [volume.name for pod in page.pods for volume in pod.volumes]
        after = page.after
        if not after:
            break
    assert seen == asked == [str(folder) for folder in folders]
