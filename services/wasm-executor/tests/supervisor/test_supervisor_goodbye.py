"""An executor that stops leaves nobody without an answer."""

import asyncio
import os
import signal
from pathlib import Path

from executor_rig import NODE, executor_rig

from contract.errors import CommandError
from contract.messages.node import NodePing, NodePong
from servicekit.bus import Bus


async def answer(bus: Bus) -> str:
    try:
        pong = await bus.request(NODE, NodePing(node=NODE), timeout_s=10)
    except CommandError as refusal:
        return refusal.message
    return type(pong).__name__


async def test_what_was_asked_of_a_frozen_executor_that_then_stops_is_answered(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        assert await answer(rig.peer.reader) == NodePong.__name__
        supervisor = rig.executor.supervisor_pid()
        assert supervisor is not None
        os.kill(supervisor, signal.SIGSTOP)
        try:
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(answer(rig.peer.reader)) for _ in range(10)]
                await asyncio.sleep(0)
                for _ in range(2):  # the first may overtake what is buffered
                    await rig.peer.reader._control.client.flush()
                os.kill(supervisor, signal.SIGTERM)
                os.kill(supervisor, signal.SIGCONT)
        finally:
            os.kill(supervisor, signal.SIGCONT)
        known = {NodePong.__name__, "the node name is not held any more", "this service is ending"}
        assert {each.result() for each in asked} <= known
