"""A local socket by which this host's administrator gives the executor orders.

One order: `drain SECONDS`. The answer is a line for each step; the last one is `drained N pods` or
begins with `error: `. The order stands though nobody waits for the answer.
"""

import asyncio
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

import structlog

from wasm_executor.supervisor.localsocket import serve_local
from wasm_executor.supervisor.pods.podtask import PodTask
from wasm_executor.supervisor.shutdown import Shutdown

log = structlog.get_logger()

SOCKET_NAME: Final = "control.sock"
ORDER_TIMEOUT_S: Final = 10.0
LOOK_S: Final = 0.05
OVERTIME_S: Final = 10.0
"""How long killed processes may take to be gone; the kernel may hold one back."""

type Say = Callable[[str], None]


async def obey(run_dir: Path, shutdown: Shutdown) -> None:
    """Take orders, until cancelled."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            if not writer.is_closing():
                writer.write(f"{line}\n".encode())

        try:
            async with asyncio.timeout(ORDER_TIMEOUT_S):
                order = (await reader.readline()).decode(errors="replace").split()
        except (TimeoutError, ValueError):
            order = []
        period_s = period_of(order)
        if period_s is None:
            say("error: the order is `drain SECONDS`")
        else:
            await drain(shutdown, period_s, say)
        await writer.drain()

    await serve_local(run_dir, SOCKET_NAME, answer)


def period_of(order: list[str]) -> float | None:
    """Return the seconds of `drain SECONDS`, None if it is not that."""
    try:
        verb, seconds = order
        period_s = float(seconds)
    except ValueError:
        return None
    return period_s if verb == "drain" and period_s >= 0 and math.isfinite(period_s) else None


async def drain(shutdown: Shutdown, period_s: float, say: Say) -> None:
    """Shut the node down, and say how its pods end."""
    tasks = await shutdown.begin(period_s)
    say(f"the node is shutting down: ending {_count(tasks)} within {period_s:g} s")
    gives_up_at = time.monotonic() + period_s + OVERTIME_S
    waiting = tasks
    while waiting and time.monotonic() < gives_up_at:
        await asyncio.sleep(LOOK_S)
        for task in (each for each in waiting if each.pod.stopped):
            say(f"pod {_name(task)} has ended")
        waiting = [each for each in waiting if not each.pod.stopped]
    if waiting:
        say(f"error: not ended: {', '.join(map(_name, waiting))}")
    else:
        say(f"drained {_count(tasks)}")


async def drain_on_power_failure(shutdown: Shutdown, period_s: float) -> NoReturn:
    """Shut the node down when the host says that it does: SIGPWR, by way of the keeper.

    What arrived before this was held back: it would have ended this process.
    """
    arrived = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGPWR, arrived.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGPWR,))
    while True:
        await arrived.wait()
        arrived.clear()
        await drain(shutdown, period_s, lambda line: log.info("node.drain", step=line))


def _count(tasks: list[PodTask]) -> str:
    return f"{len(tasks)} pod" if len(tasks) == 1 else f"{len(tasks)} pods"


def _name(task: PodTask) -> str:
    return f"{task.pod.plan.namespace}/{task.pod.plan.name}"
