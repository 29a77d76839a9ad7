"""Work in threads that are not left behind: none can be ended, and what it writes stays."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

PATIENCE_S: Final = 10.0
"""After this somebody's hanging file system is to blame, and it shall hold up nobody else."""


async def finished[*Ts, T](work: Callable[[*Ts], T], *args: *Ts) -> T:
    """Do it in a thread. Whoever is cancelled meanwhile is so once the thread is through.

    Else what a cancelled pod's volumes are made of would come back after they were removed. A
    thread that takes longer than `PATIENCE_S` is left behind all the same.
    """
    loop = asyncio.get_running_loop()
    working = loop.run_in_executor(None, work, *args)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        give_up_at = loop.time() + PATIENCE_S
        while not working.done() and (left_s := give_up_at - loop.time()) > 0:
            with suppress(asyncio.CancelledError):
                await asyncio.wait([working], timeout=left_s)
        raise
