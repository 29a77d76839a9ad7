"""An executor that stops leaves nobody without an answer."""

import asyncio
from pathlib import Path

from executor_rig import NODE, executor_rig

from contract.errors import CommandError
from contract.messages.node import NodePing, NodePong
from servicekit.bus import Bus
from servicekit.errors import BusUnavailableError

ASKERS = 32
REFUSALS = {"the node name is not held any more", "this service is ending"}
NOBODY = "no responders available"


async def answer(bus: Bus) -> str:
    """Return the kind of answer, the refusal, or why there was none."""
    try:
        pong = await bus.request(NODE, NodePing(node=NODE), timeout_s=5)
    except (CommandError, BusUnavailableError) as refusal:
        return str(refusal)
    return type(pong).__name__


async def test_whoever_asks_an_executor_while_it_stops_is_answered(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        bus = rig.peer.reader
        said: set[str] = set()
        asking: set[int] = set()

        async def ask_on(number: int) -> None:
            while NOBODY not in (latest := await answer(bus)):
                said.add(latest)
                asking.add(number)

        async with asyncio.TaskGroup() as tasks:
            for number in range(ASKERS):
                tasks.create_task(ask_on(number))
            await rig.peer.until(lambda: len(asking) == ASKERS)
            assert await rig.executor.terminate() == 0
        assert NodePong.__name__ in said
        assert all(any(r in each for r in (*REFUSALS, NodePong.__name__)) for each in said), said
