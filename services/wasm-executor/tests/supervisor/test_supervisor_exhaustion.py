"""Guests that take all they can get: the node and its other pods go on meanwhile."""

import time
from pathlib import Path

from executor_rig import Rig, executor_rig

from contract.messages.pod import PodPlan, RestartPolicy
from contract.messages.report import Terminated

LIMIT = 64 << 20
BEATS = 5
SLOWER = 8.0
"""So much longer may a beat or a start take while two cores are wanted by four guests and a log."""
LEAST_S = 0.4
"""What a beat or a start may take by itself: beats come every 0.2 s."""


async def longest_beat_s(rig: Rig) -> float:
    """Return the longest wait for a beat, of a few in a row."""
    waits = []
    for _ in range(BEATS):
        began = time.monotonic()
        await next_beat(rig)
        waits.append(time.monotonic() - began)
    return max(waits)


async def next_beat(rig: Rig) -> None:
    seen = len(rig.peer.beats)
    await rig.peer.until(lambda: len(rig.peer.beats) > seen)


async def start_s(rig: Rig, name: str) -> float:
    plan, began = rig.plan("sleep", name=name), time.monotonic()
    await rig.peer.apply(plan)
    await rig.peer.running(plan)
    return time.monotonic() - began


async def ended(rig: Rig, plan: PodPlan) -> Terminated:
    await rig.peer.apply(plan)
    return await rig.peer.stopped(plan)


async def test_bombs_end_as_they_should_and_the_node_goes_on_under_floods(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        steady = rig.plan("steady", name="steady")
        await rig.peer.apply(steady)
        await rig.peer.running(steady)
        await start_s(rig, "compiled")
        calm = max(LEAST_S, await longest_beat_s(rig), await start_s(rig, "calm"))

        floods = [rig.plan("spin", name=f"spin{number}") for number in range(4)]
        floods.append(rig.plan("commands", "f", name="flood"))
        for flood in floods:
            await rig.peer.apply(flood)
        for flood in floods:
            await rig.peer.running(flood)
        written = len(await rig.peer.log(steady))
        under_load = max(await longest_beat_s(rig), await start_s(rig, "loaded"))
        assert under_load < SLOWER * calm
        print(f"a beat or a start: {calm:.3f} s, under load {under_load:.3f} s")  # noqa: T201 - measured
        await every_bomb_ends(rig)
        assert len(await rig.peer.log(steady)) > written
        for plan in (steady, *floods):
            report = rig.peer.container(plan)
            assert report is not None
            assert report.restart_count == 0
            assert not isinstance(report.state, Terminated)


async def every_bomb_ends(rig: Rig) -> None:
    once = {"restart_policy": RestartPolicy.NEVER, "memory_limit_bytes": LIMIT}
    memory = await ended(rig, rig.plan("gorge", name="gorge", **once))
    assert (memory.exit_code, memory.reason) == (137, "OOMKilled")
    table = await ended(rig, rig.plan("table_bomb", name="table", **once))
    assert (table.exit_code, table.reason) in {(10, "Error"), (137, "OOMKilled")}
    deep = await ended(rig, rig.plan("recursion", name="deep", **once))
    assert deep.exit_code == 134
    threads = await ended(rig, rig.plan("thread_bomb", name="threads", **once))
    assert (threads.exit_code, threads.reason) == (128, "StartError")
    assert "wasi::thread-spawn" in threads.message
