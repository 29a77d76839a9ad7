"""A lane works while its term lasts, and does not disturb its end."""

import asyncio

import pytest

from contract.ids import PodUid
from pod_reconciler.errors import ActFailedError
from pod_reconciler.lanes import Lane, Pace

UID = PodUid("0c6e7e7e-4b0e-4c2e-9d53-4b7a31a1d4d0")
PACE = Pace(first_s=0.01, longest_s=0.1)


class _TermEndedError(Exception):
    """As a lost leadership ends a group."""


async def test_what_is_told_while_a_term_ends_is_left_to_the_next_leader() -> None:
    stepped: list[PodUid] = []

    async def step(uid: PodUid) -> None:
        stepped.append(uid)

    async def watch(lane: Lane, begun: asyncio.Event) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            lane.poke(UID)  # an event that had come already

    async def end(begun: asyncio.Event) -> None:
        await begun.wait()
        raise _TermEndedError

    begun = asyncio.Event()
    with pytest.RaisesGroup(_TermEndedError):
        async with asyncio.TaskGroup() as tasks:
            lane = Lane(tasks, "command", step, PACE)
            tasks.create_task(watch(lane, begun), name="watch")
            tasks.create_task(end(begun), name="leadership")
    assert stepped == []


async def test_a_poke_is_work_for_one_task_until_nothing_is_due() -> None:
    pauses: list[float | None] = [0.0, 30.0, None]
    asked: list[int] = []

    async def step(_uid: PodUid) -> float | None:
        asked.append(len(pauses))
        return pauses.pop(0)

    async with asyncio.TaskGroup() as tasks:
        lane = Lane(tasks, "command", step, PACE)
        lane.poke(UID)
        lane.poke(UID)
        while len(asked) < 2:
            await asyncio.sleep(0)
        lane.poke(UID)  # cuts the wait short
    assert asked == [3, 2, 1]


@pytest.mark.parametrize("looks", [1, 2], ids=["within the pace", "later"])
async def test_another_thing_than_was_refused_ends_the_long_wait(looks: int) -> None:
    loop = asyncio.get_running_loop()
    tried: list[float] = []
    looked: list[str] = []
    plans = ["one"]

    def about(_uid: PodUid) -> str:
        looked.append(plans[-1])
        return plans[-1]

    async def step(_uid: PodUid) -> float | None:
        tried.append(loop.time())
        if len(tried) == 1:
            raise ActFailedError("refused", 3600.0, is_of_content=True)
        return None

    pace = Pace(first_s=0.05, longest_s=0.05)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        lane = Lane(tasks, "command", step, pace, about)
        lane.poke(UID)
        while len(looked) < looks:  # for the second time when the pace is over
            await asyncio.sleep(0.001)
        plans.append("another")
        lane.poke(UID)
    assert tried[1] - tried[0] >= pace.first_s


@pytest.mark.parametrize("is_of_content", [True, False], ids=["refused", "told when to come"])
async def test_a_failure_is_waited_out_though_what_is_due_is_told_of_again(
    is_of_content: bool,  # noqa: FBT001 - a case
) -> None:
    loop = asyncio.get_running_loop()
    tried: list[float] = []
    wait_s = 0.4

    async def step(_uid: PodUid) -> float | None:
        tried.append(loop.time())
        if len(tried) == 1:
            raise ActFailedError("not now", wait_s, is_of_content=is_of_content)
        return None

    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        news = iter(range(10**9))  # an API server's word holds whatever else there is to write
        lane = Lane(tasks, "write", step, PACE, lambda _: "one" if is_of_content else next(news))
        lane.poke(UID)
        while len(tried) < 2:
            await asyncio.sleep(0.01)
            lane.poke(UID)  # as each beat does
    assert tried[1] - tried[0] >= wait_s
