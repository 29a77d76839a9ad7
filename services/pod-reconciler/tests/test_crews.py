"""The tasks of one node end without the others, and before anything is made anew for it."""

import asyncio

import pytest

from pod_reconciler.crews import Crew


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_its_tasks_have_ended_when_its_end_has_and_the_others_go_on() -> None:
    async with asyncio.TaskGroup() as group:
        other = group.create_task(for_ever())
        crew = Crew(group)
        slow_to_end = asyncio.Event()

        async def tidies_up() -> None:
            try:
                await for_ever()
            finally:
                await asyncio.sleep(0)
                slow_to_end.set()

        own = [crew.create_task(tidies_up(), name="a"), crew.create_task(for_ever(), name="b")]
        await asyncio.sleep(0)  # they have begun
        await crew.end()
        assert all(each.cancelled() for each in own)
        assert slow_to_end.is_set()
        assert not other.done()
        late = for_ever()
        with pytest.raises(RuntimeError, match="have ended"):
            crew.create_task(late, name="late")
        late.close()
        other.cancel()


async def test_a_task_that_fails_fails_the_group() -> None:
    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            Crew(group).create_task(fails(), name="fails")


async def test_what_is_over_is_not_waited_for() -> None:
    async with asyncio.TaskGroup() as group:
        crew = Crew(group)
        await crew.create_task(asyncio.sleep(0), name="over")
        await crew.end()
        await crew.end()
