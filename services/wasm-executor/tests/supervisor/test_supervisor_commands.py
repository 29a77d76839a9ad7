"""Which commands count: incarnations, terms, revisions, digests, grants."""

import hashlib
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from executor_rig import NODE, Rig, executor_rig

from contract.codec import encode
from contract.digests import plan_digest
from contract.errors import CommandError
from contract.ids import NodeName
from contract.messages.blob import BlobChunk, BlobRead
from contract.messages.form import Incarnation
from contract.messages.node import NodePing, NodeRevoke
from contract.messages.pod import PodPlan, RestartPolicy
from contract.messages.report import Running


async def refused(rig: Rig, applied: PodPlan, **forged: object) -> CommandError:
    with pytest.raises(CommandError) as refusal:
        await rig.peer.apply(applied, **forged)
    return refusal.value


async def test_a_plan_applied_twice_is_applied_once(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        assert (await rig.peer.apply(plan)).changed
        before = await rig.peer.running(plan)
        command = rig.peer.command(plan)
        assert not (await rig.peer.send(command)).changed
        assert not (await rig.peer.send(command)).changed
        assert rig.peer.container(plan) == before
        assert len(rig.executor.container_pids()) == 1


async def test_forged_and_stale_commands_are_refused(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        peer, plan = rig.peer, rig.plan("sleep")
        assert peer.holder is not None
        other = msgspec.structs.replace(peer.holder, start_count=7)
        assert (await refused(rig, plan, incarnation=other)).code == 409
        assert (await refused(rig, plan, plan_digest="0" * 64)).code == 400
        stranger = rig.plan("sleep")
        swapped = await refused(rig, plan, plan=stranger, plan_digest=plan_digest(stranger))
        assert (swapped.code, swapped.message) == (400, "the plan is of another pod")
        outside = msgspec.structs.replace(plan, name="../../etc")
        assert (await refused(rig, outside)).code == 400
        await peer.apply(plan, revision=5)
        changed = msgspec.structs.replace(plan, generation=2)
        assert (await refused(rig, changed, revision=4)).code == 409
        older = peer.term
        peer.term = msgspec.structs.replace(older, created_at=older.created_at + timedelta(days=1))
        assert (await peer.apply(changed, revision=1)).changed
        stale = await refused(rig, plan, term=older, revision=99)
        assert (stale.code, stale.message) == (409, "stale term")
        another = rig.plan("sleep", name="another")
        assert (await refused(rig, another, term=older)).code == 409
        assert len((await peer.report_all()).entries) == 1


async def test_a_large_plan_is_read_as_a_blob(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan(
            "measure",
            "700000",
            env=(("A", "x" * 700_000),),
            restart_policy=RestartPolicy.NEVER,
        )
        content = encode(plan)
        digest = hashlib.sha256(content).hexdigest()
        assert digest == plan_digest(plan)

        async def serve(_node: NodeName, command: BlobRead) -> BlobChunk:
            assert command.digest == digest
            part = content[command.offset : command.offset + command.max_bytes]
            return BlobChunk(data=part, total_bytes=len(content))

        await rig.peer.serve_blobs(serve)
        command = rig.peer.command(plan)
        await rig.peer.send(msgspec.structs.replace(command, plan=None))
        assert (await rig.peer.stopped(plan)).exit_code == 0


@pytest.mark.parametrize("had_again", [False, True])
async def test_a_large_plan_that_arrives_after_the_node_was_lost_is_not_begun(
    tmp_path: Path, *, had_again: bool
) -> None:
    async with executor_rig(tmp_path, REGISTER_INTERVAL_S="0.2") as rig:
        ran, plan = rig.plan("sleep", name="ran"), rig.plan("sleep")
        await rig.peer.apply(ran)
        await rig.peer.running(ran)
        mine, other = rig.peer.holder, Incarnation(executor_id="other", start_count=1)
        assert mine is not None
        content = encode(plan)

        async def lose_and_serve(_node: NodeName, _command: BlobRead) -> BlobChunk:
            rig.peer.grants_to = lambda _asking: False
            rig.peer.holder = other
            revoke = NodeRevoke(node=NODE, executor_id=mine.executor_id, holder=other)
            await rig.peer.revoke(revoke)
            await rig.peer.until(lambda: not rig.executor.container_pids())
            if had_again:
                rig.peer.grants_to = lambda _asking: True
                beats = len(rig.peer.beats)
                await rig.peer.until(lambda: len(rig.peer.beats) > beats)
            return BlobChunk(data=content, total_bytes=len(content))

        await rig.peer.serve_blobs(lose_and_serve)
        command = rig.peer.command(plan)
        with pytest.raises(CommandError, match="503"):
            await rig.peer.send_once(msgspec.structs.replace(command, plan=None))
        assert not rig.executor.traces_of(plan.uid)


async def test_a_large_plan_of_a_term_that_is_over_when_it_arrives_is_refused(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        plan, sooner = rig.plan("sleep"), rig.plan("sleep", name="sooner")
        content, older = encode(plan), rig.peer.term
        newer = msgspec.structs.replace(older, created_at=older.created_at + timedelta(days=1))

        async def serve_after_another(_node: NodeName, _command: BlobRead) -> BlobChunk:
            await rig.peer.apply(sooner, term=newer)
            return BlobChunk(data=content, total_bytes=len(content))

        await rig.peer.serve_blobs(serve_after_another)
        command = rig.peer.command(plan)
        with pytest.raises(CommandError, match="stale term"):
            await rig.peer.send_once(msgspec.structs.replace(command, plan=None))
        assert not rig.executor.traces_of(plan.uid)


async def test_nothing_is_served_before_the_grant(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, grant=False) as rig:
        await rig.peer.until(lambda: rig.peer.asked >= 2)
        assert rig.peer.beats == []
        with pytest.raises(Exception, match="no responders"):
            await rig.peer.reader.request(NODE, NodePing(node=NODE))
        rig.peer.grants_to = lambda _asking: True
        await rig.peer.until(lambda: bool(rig.peer.beats))
        pong = await rig.peer.reader.request(NODE, NodePing(node=NODE))
        assert pong.incarnation == rig.peer.holder


@pytest.mark.parametrize("told", [True, False])
async def test_a_lost_node_name_ends_every_pod_in_silence(tmp_path: Path, *, told: bool) -> None:
    # Told, it asks again soon, as one does that holds nothing.
    async with executor_rig(tmp_path, REGISTER_INTERVAL_S="60" if told else "0.3") as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        mine, other = rig.peer.holder, Incarnation(executor_id="other", start_count=1)
        assert mine is not None
        told_before = len(rig.peer.of(plan))
        rig.peer.grants_to = lambda _asking: False
        rig.peer.holder = other
        if told:
            revoke = NodeRevoke(node=NODE, executor_id=mine.executor_id, holder=other)
            await rig.peer.revoke(revoke)
        await rig.peer.until(lambda: not rig.executor.container_pids())
        await rig.peer.until(lambda: not rig.executor.traces_of(plan.uid))
        shown = rig.peer.container(plan)
        assert shown is not None
        assert isinstance(shown.state, Running)
        assert len(rig.peer.of(plan)) == told_before
        rig.peer.grants_to = lambda _asking: True
        await rig.peer.until(lambda: rig.peer.holder == mine)
        await rig.peer.apply(plan, last_status=(shown,))
        assert (await rig.peer.running(plan, restarts=1)).restart_count == 1


async def test_every_pod_is_reported_again_under_its_number_when_asked(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        last = rig.peer.latest(plan)
        rig.peer.reports.clear()
        inventory = await rig.peer.report_all()
        await rig.peer.until(lambda: rig.peer.of(plan) == [last])
        assert last is not None
        assert [each.sequence for each in inventory.entries] == [last.sequence]
        await rig.peer.until(lambda: rig.peer.beats[-1].inventory_digest == rig.peer.digest())


async def test_a_name_that_was_lost_between_two_lives_takes_its_pods_along(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("sleep")
        await rig.peer.apply(plan)
        shown = await rig.peer.running(plan)
        mine = rig.peer.holder
        assert mine is not None
        rig.executor.kill()
        rig.peer.grants_to = lambda _asking: False
        rig.peer.holder = Incarnation(executor_id="other", start_count=1)
        rig.executor.start()
        await rig.peer.until(lambda: not (rig.executor.run_dir / "plans" / plan.uid).exists())
        assert rig.executor.container_pids() == set()
        rig.peer.grants_to = lambda _asking: True
        rig.peer.beats.clear()
        await rig.granted()
        assert (await rig.peer.report_all()).entries == ()
        await rig.peer.apply(plan, last_status=(shown,))
        assert (await rig.peer.running(plan, restarts=1)).restart_count == 1
