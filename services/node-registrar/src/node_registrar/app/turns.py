"""Turns that a task takes for ever: the rhythm of all that keeps an object as it should be."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog

from kubekit.backoff import Backoff
from kubekit.errors import ApiError

# The kubelet's: 4 % of jitter on its periods, 100 ms doubling to 7 s after failures.
_JITTER: Final = 0.04
_RETRY_INITIAL_S: Final = 0.1
_RETRY_MAXIMUM_S: Final = 7.0

log = structlog.get_logger()


async def again(
    turn: Callable[[], Awaitable[None]], wake: asyncio.Event, period_s: float, what: str
) -> None:
    """Take turns for ever: when woken, each period, and sooner after a failure."""
    backoff = Backoff(random.random, initial_s=_RETRY_INITIAL_S, maximum_s=_RETRY_MAXIMUM_S)
    while True:
        try:
            await turn()
        except ApiError as error:
            log.warning("node.unwritten", what=what, reason=str(error))
            await asyncio.sleep(
                backoff.delay_s(time.monotonic(), retry_after_s=error.retry_after_s)
            )
            continue
        backoff.reset()
        with suppress(TimeoutError):
            async with asyncio.timeout(period_s * (1 + _JITTER * random.random())):  # noqa: S311 - no secret
                await wake.wait()
        wake.clear()
