"""What is being removed of a run or a pod is never what its successor of the same name has."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from keeper_rig import KeeperProcess

from contract.digests import plan_digest
from contract.errors import CommandError
from contract.ids import ContainerName, NodeName, PodUid
from contract.messages.form import STATIC_TERM, Incarnation
from contract.messages.health import Sleep
from contract.messages.pod import (
    ContainerPlan,
    ContainerRole,
    Deletion,
    PodApply,
    PodForget,
    PodPlan,
)
from contract.messages.volume import EmptyDir, Mount, VolumePlan
from wasm_executor.domain.checkpoint import PodRecord
from wasm_executor.domain.checks import HookKind
from wasm_executor.domain.effects import ForgetRun, RunHook
from wasm_executor.domain.inputs import HookFinished, Input
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.pod import Pod
from wasm_executor.images.puller import ImageService
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor.commands import Commands
from wasm_executor.supervisor.identity import Identity
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.hands import Hands
from wasm_executor.supervisor.pods.roster import Roster
from wasm_executor.supervisor.reporting import Reporter
from wasm_executor.volumes import removing

NODE = NodeName("n")
UID = PodUid("0b5e4a52-0000-4000-8000-000000000001")
C = ContainerName("c")
MOUNTED = ContainerPlan(name=C, image="x", mounts=(Mount(volume="e", path="/e"),))
PLAN = PodPlan(
    uid=UID,
    namespace="default",
    name="p",
    containers=(MOUNTED,),
    volumes=(VolumePlan(name="e", source=EmptyDir()),),
)
AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


PAST = PodRecord(
    uid=UID, namespace="default", name="p", started_at=AT, start_count=1, containers=()
)


@asynccontextmanager
async def node_on(keeper: KeeperProcess) -> AsyncIterator[Node]:
    """A supervisor's means, on a real keeper; no image is ever there."""
    folder = keeper.folder
    settings = ExecutorSettings(
        node_name=NODE, data_dir=folder / "d", run_dir=folder / "r", log_root=folder / "l"
    )
    settings.data_dir.mkdir()
    async with keeper.supervise() as supervisor, asyncio.TaskGroup() as tasks:
        life = Incarnation(executor_id=supervisor.executor_id, start_count=supervisor.start_count)
        images: asyncio.Future[ImageService] = asyncio.get_running_loop().create_future()
        node = Node(
            settings,
            Identity(incarnation=life, epoch=supervisor.epoch, keeper_fd=-1),
            tasks,
            keeper=supervisor.client,
            images=images,
            reporter=Reporter(NODE, life, supervisor.epoch),
        )
        with closing(node.socket_holders):
            yield node
        for task in tuple(tasks._tasks):
            task.cancel()


def applying(node: Node, plan: PodPlan, revision: int = 1) -> PodApply:
    return PodApply(
        uid=UID,
        incarnation=node.identity.incarnation,
        term=STATIC_TERM,
        revision=revision,
        plan_digest=plan_digest(plan),
        plan=plan,
    )


def forgetting_on(node: Node) -> PodForget:
    life = node.identity.incarnation
    return PodForget(uid=UID, incarnation=life, term=STATIC_TERM, grace_s=0.0)


@contextmanager
def others_leave_a_lot() -> Iterator[None]:
    """All threads for removing are busy, until the end."""
    done = threading.Event()
    workers = [removing._SLOW.submit(done.wait) for _ in range(removing._SLOW._max_workers)]
    try:
        yield
    finally:
        done.set()
        for each in workers:
            each.result()


def all_is_removed() -> None:
    """Wait for what was put off until now."""
    for each in [removing._SLOW.submit(int) for _ in range(removing._SLOW._max_workers)]:
        each.result()


async def test_a_run_that_takes_a_free_number_keeps_what_it_was_given(
    keeper: KeeperProcess,
) -> None:
    """An image that could not be used is tried again under the number of the run that was none."""
    async with node_on(keeper) as node:
        pod = Pod.new(PLAN, node.rules, Moment(wall=AT, mono=0.0))
        hands = Hands(node, Roster(node).execs, pod, lambda _: None, lambda _: None)
        await node.volumes.prepare(PLAN)
        with others_leave_a_lot():
            before = await node.worlds.make(PLAN, MOUNTED, 0)
            (Path(before.preopens[0].host_path) / "left").touch()
            await hands.do(ForgetRun(container=C, run=0))
            await asyncio.sleep(0)
            given = await node.worlds.make(PLAN, MOUNTED, 0)
        await asyncio.to_thread(all_is_removed)
        shown = [Path(each.host_path) for each in given.preopens]
        assert all(each.is_dir() for each in shown)
        assert not any((each / "left").exists() for each in shown)
        assert node.worlds.find(PLAN, MOUNTED, 0) == given


async def test_a_pod_that_comes_back_waits_until_nothing_is_left_of_it(
    keeper: KeeperProcess,
) -> None:
    async with node_on(keeper) as node:
        roster = Roster(node)
        commands = Commands(node, roster)
        node.checkpoint.keep(PAST)
        apply, forget = applying(node, PLAN), forgetting_on(node)
        with others_leave_a_lot():
            forgetting = node.tasks.create_task(commands.forget(NODE, forget))
            while removing._SLOW._work_queue.empty():
                await asyncio.sleep(0.001)
            with pytest.raises(CommandError, match="the pod is being forgotten"):
                await commands.apply(NODE, apply)
        await forgetting
        assert UID not in node.checkpoint.records
        ack = await commands.apply(NODE, msgspec.structs.replace(apply, revision=2))
        assert ack.changed
        assert roster.get(UID) is not None


async def test_who_asks_again_while_a_pod_is_being_removed_removes_nothing_of_its_successor(
    keeper: KeeperProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reconciler repeats the word that a slow disk left without an answer."""
    async with node_on(keeper) as node:
        commands = Commands(node, Roster(node))
        node.checkpoint.keep(PAST)
        removed = 0
        drop = node.volumes.drop

        async def counted(uid: PodUid) -> None:
            nonlocal removed
            removed += 1
            await drop(uid)

        monkeypatch.setattr(node.volumes, "drop", counted)
        with others_leave_a_lot():
            asked = [
                node.tasks.create_task(commands.forget(NODE, forgetting_on(node))) for _ in range(2)
            ]
            while removing._SLOW._work_queue.empty():
                await asyncio.sleep(0.001)
        for each in asked:
            await each
        assert removed == 1
        assert UID not in node.checkpoint.records


async def test_a_plan_that_leaves_out_an_ephemeral_container_takes_it_from_no_later_supervisor(
    keeper: KeeperProcess,
) -> None:
    debug = ContainerPlan(name=ContainerName("debug"), image="x", role=ContainerRole.EPHEMERAL)
    debugged = msgspec.structs.replace(PLAN, containers=(MOUNTED, debug))
    async with node_on(keeper) as node:
        commands = Commands(node, Roster(node))
        for revision, plan in enumerate((debugged, PLAN, PLAN), start=1):
            await commands.apply(NODE, applying(node, plan, revision))
        (stored,) = node.plans.load()
        assert [each.name for each in stored.plan.containers] == [C, debug.name]
        assert stored.rank.revision == 3


async def test_a_pod_that_ends_by_its_name_alone_has_its_volumes_dropped_by_a_later_supervisor_too(
    keeper: KeeperProcess,
) -> None:
    """Another reconciler that cannot plan it names neither volumes nor mounts."""
    bare = msgspec.structs.replace(
        PLAN,
        containers=(msgspec.structs.replace(MOUNTED, mounts=()),),
        volumes=(),
        deletion=Deletion(requested_at=AT, grace_s=30),
    )
    async with node_on(keeper) as node:
        commands = Commands(node, Roster(node))
        for revision, plan in enumerate((PLAN, bare), start=1):
            await commands.apply(NODE, applying(node, plan, revision))
        (stored,) = node.plans.load()
        assert stored.plan == msgspec.structs.replace(PLAN, deletion=bare.deletion)
        assert stored.digest == plan_digest(bare)


@pytest.mark.parametrize("again", [True, False])
async def test_what_is_asked_of_a_run_ends_with_that_run_and_with_no_older_one(
    keeper: KeeperProcess, *, again: bool
) -> None:
    async with node_on(keeper) as node:
        pod = Pod.new(PLAN, node.rules, Moment(wall=AT, mono=0.0))
        heard: list[Input] = []
        hands = Hands(node, Roster(node).execs, pod, heard.append, lambda _: None)
        others = set(asyncio.all_tasks())
        hook = RunHook(container=C, run=1, kind=HookKind.POST_START, hook=Sleep(seconds=0.1))
        await hands.do(hook)
        await asyncio.sleep(0)  # it begins
        (asked,) = asyncio.all_tasks() - others
        await hands.do(ForgetRun(container=C, run=0 if again else 1, again=again))
        await asyncio.wait({asked}, timeout=5)
        assert asked.cancelled() is not again
        assert [type(each) for each in heard] == ([HookFinished] if again else [])
