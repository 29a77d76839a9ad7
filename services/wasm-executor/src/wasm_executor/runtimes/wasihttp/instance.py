"""One instance of a component: what its handles stand for, and where it waits.

A guest that waits (for a slow body, another server, a clock) holds its thread, as a synchronous
handler must; before that its thread gives up leading the worker's loop, so that other requests go
on. Whoever waits past the request's deadline is ended.
"""

import select
import time
from collections.abc import Callable
from typing import Any

from wasm_executor.runtimes.wasihttp.errors import RequestTimeoutError
from wasm_executor.runtimes.wasihttp.files import Descriptor
from wasm_executor.runtimes.wasihttp.outgoing import Outgoing
from wasm_executor.runtimes.wasihttp.streams import Source

type OnWait = Callable[[], None]


class Instance:
    """The host's side of one store."""

    def __init__(
        self, args: list[str], env: list[tuple[str, str]], outgoing: Outgoing | None
    ) -> None:
        self.args = args
        self.env = env
        self.outgoing = outgoing
        self.folders: list[tuple[Descriptor, str]] = []
        self.objects: dict[int, Any] = {}
        self.failure: BaseException | None = None
        self.deadline = 0.0
        self.on_wait: OnWait = _nothing
        """Called before the thread stops for anything."""
        self._last_number = 0

    @classmethod
    def waiting(cls, deadline: float, on_wait: OnWait) -> "Instance":
        """Return one that has no guest and only waits."""
        instance = cls([], [], None)
        instance.begin(deadline, on_wait)
        return instance

    def begin(self, deadline: float, on_wait: OnWait) -> None:
        """Take up the next request."""
        self.failure, self.deadline, self.on_wait = None, deadline, on_wait

    def hold(self, thing: Any) -> int:
        self._last_number += 1
        self.objects[self._last_number] = thing
        return self._last_number

    def wait(self, *sources: Source) -> None:
        """Stop until one of them may be ready; raise `RequestTimeoutError` when time is up."""
        until, poll = self.deadline, select.poll()
        for source in sources:
            awaited = source.awaited()
            if awaited is None:
                return
            if isinstance(awaited, tuple):
                poll.register(*awaited[:2])
                until = min((until, *awaited[2:]))
            else:
                until = min(until, awaited)
        self.on_wait()
        poll.poll(max(0.0, until - time.monotonic()) * 1000)
        if time.monotonic() >= self.deadline:
            raise RequestTimeoutError("the request has had its time")


def _nothing() -> None:
    """Nobody minds."""
