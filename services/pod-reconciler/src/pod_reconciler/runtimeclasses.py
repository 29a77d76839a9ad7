"""Which runtime a pod's RuntimeClass stands for: its handler, asked once and remembered.

A handler never changes, so an answer holds for a class's life; only its name may come back with
another one, which an hour's memory takes care of. Why there is none may change at any moment: it is
remembered just long enough that many pods of one name cost one question. Plans must not depend on
the moment, so while the API server does not say, a pod that begins waits instead of being guessed.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from kubekit.client import Api
from kubekit.errors import ApiError, NotFoundError
from kubekit.objects import object_path
from pod_reconciler.domain.material import Lack

log = structlog.get_logger()

REMEMBERED_S: Final = 3600.0
_PATH: Final = "/apis/node.k8s.io/v1/runtimeclasses"
_TIMEOUT_S: Final = 5.0
_FOR_EVER: Final = float("inf")


class _RuntimeClass(msgspec.Struct, frozen=True, kw_only=True):
    handler: str = ""


_DECODER: Final = msgspec.json.Decoder(_RuntimeClass)


class _Entry:
    """What is known of one class."""

    def __init__(self) -> None:
        self.handler: str | Lack = ""
        self.until_s = float("-inf")
        """Until when that counts."""
        self.asking = asyncio.Lock()


class RuntimeClasses:
    """The handlers of RuntimeClasses by name."""

    def __init__(
        self, api: Api, retry_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._api = api
        self._retry_s = retry_s
        self._clock = clock
        self._known: dict[str, _Entry] = {}

    async def handler(self, name: str) -> tuple[str | Lack, float]:
        """The handler, or why it cannot be known; and when to ask again.

        It is empty, and the image decides, for no class, and for one that certainly is not there.
        """
        if not name:
            return "", _FOR_EVER
        entry = self._known.setdefault(name, _Entry())
        async with entry.asking:
            if self._clock() >= entry.until_s:
                entry.handler = await self._ask(name, entry.handler)
                is_handler = isinstance(entry.handler, str) and bool(entry.handler)
                memory_s = REMEMBERED_S if is_handler else self._retry_s
                entry.until_s = self._clock() + memory_s
        return entry.handler, entry.until_s if isinstance(entry.handler, Lack) else _FOR_EVER

    async def _ask(self, name: str, known: str | Lack) -> str | Lack:
        """Ask the API server; where it does not say, a handler that is known stays."""
        try:
            path = object_path(_PATH, "", name)
            answer = await self._api.request("GET", path, timeout_s=_TIMEOUT_S)
            return _DECODER.decode(answer.body).handler
        except (ApiError, msgspec.DecodeError) as error:
            if isinstance(error, NotFoundError) and error.reason == "NotFound":
                log.warning("runtimeclass.absent", name=name)
                return ""
            tell = log.debug if isinstance(known, Lack) else log.warning
            tell("runtimeclass.unknown", name=name, reason=str(error))
            problem = f"failed to lookup RuntimeClass {name}: {error}"
            return known if isinstance(known, str) and known else Lack(problem=problem)
