"""Which runtime a pod's RuntimeClass stands for: its handler, asked once and remembered.

A handler never changes, so an answer holds for a class's life; only its name may come back with
another one, which an hour's memory takes care of. That there is no class, or none that we may see,
may change at any moment: it is remembered just long enough that many pods of one name cost one
question. Plans must not depend on the moment, so while the API server gives no answer the question
waits instead of being guessed.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from kubekit.backoff import Backoff
from kubekit.client import Api
from kubekit.errors import ApiError

log = structlog.get_logger()

REMEMBERED_S: Final = 3600.0
NOTHING_REMEMBERED_S: Final = 5.0
_PATH: Final = "/apis/node.k8s.io/v1/runtimeclasses"


class _RuntimeClass(msgspec.Struct, frozen=True, kw_only=True):
    handler: str = ""


_DECODER: Final = msgspec.json.Decoder(_RuntimeClass)


class RuntimeClasses:
    """The handlers of RuntimeClasses by name."""

    def __init__(self, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._known: dict[str, tuple[str, float]] = {}
        """By name: its handler, and until when that counts."""

    async def handler_of(self, name: str) -> str:
        """The handler; empty, and the image decides, for no class and for one nobody may see."""
        if not name:
            return ""
        handler, until = self._known.get(name, ("", float("-inf")))
        if self._clock() >= until:
            handler = await self._ask(name)
            memory_s = REMEMBERED_S if handler else NOTHING_REMEMBERED_S
            self._known[name] = handler, self._clock() + memory_s
        return handler

    async def _ask(self, name: str) -> str:
        backoff = Backoff(random.random)
        while True:
            try:
                answer = await self._api.request("GET", f"{_PATH}/{name}")
                return _DECODER.decode(answer.body).handler
            except (ApiError, msgspec.DecodeError) as error:
                log.warning("runtimeclass.unknown", name=name, reason=str(error))
                if isinstance(error, ApiError) and not error.retryable:
                    return ""
                await asyncio.sleep(backoff.delay_s(time.monotonic()))
