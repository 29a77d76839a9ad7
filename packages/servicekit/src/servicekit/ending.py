"""The end of subscriptions: what the server has sent until then is handed over, and answered.

The client's own `unsubscribe` throws away what waits in its queue, and whoever asked would wait for
nothing: a process that was frozen finds its questions there when it wakes. Its `drain` keeps them,
but its PING may overtake the UNSUB that is still buffered, and when it is cancelled while the
server is slow, the late PONG finds a cancelled future, and the connection reads nothing any more.
So here is a drain that sends them in order, and whose PONG nobody cancels.
"""

import asyncio
from typing import Final

import nats.errors
import structlog
from nats.aio.subscription import Subscription

log = structlog.get_logger()

END_TIMEOUT_S: Final = 2.0
"""How long the server may take to send the rest."""


async def end(*subscriptions: Subscription) -> None:
    """Take nothing more, once what was sent until now has been handed over, one by one.

    Where the server is away or too slow for that, the subscriptions end without it.
    """
    try:
        async with asyncio.timeout(END_TIMEOUT_S):
            for each in subscriptions:
                await _hand_over_the_rest(each)
    except (nats.errors.Error, TimeoutError) as error:
        log.warning("subscriptions.cut_short", reason=str(error) or type(error).__name__)
    finally:
        for each in subscriptions:
            _remove(each)


# nats-py has no words for these steps.
# ruff: noqa: SLF001


async def _hand_over_the_rest(subscription: Subscription) -> None:
    client = subscription._conn
    if not client.is_connected:
        return
    await client._send_unsubscribe(subscription._id)
    await client._flush_pending(force_flush=True)  # a PING does not wait for what is buffered
    pong: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    await client._send_ping(pong)
    await asyncio.wait([pong])  # unlike an await of it, this leaves it alone when cancelled
    await subscription._pending_queue.join()


def _remove(subscription: Subscription) -> None:
    """What the client still had, it would subscribe anew when it reconnects."""
    subscription._closed = True
    subscription._stop_processing()
    subscription._conn._remove_sub(subscription._id)
