"""A reflector that runs against a recorded server, and what it has told so far."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec

from kubekit.changes import Added, Change, Deleted, Modified, Synced
from kubekit.client import Api, connected
from kubekit.kubeconfig import Connection
from kubekit.listing import Source
from kubekit.reflector import Pace, Reflector
from kubekit.testing.server import RecordedServer, until

QUICK: Final = Pace(backoff_initial_s=0.01, backoff_maximum_s=0.05)


class Followed:
    """A reflector that runs, and what it has delivered so far."""

    def __init__(self, api: Api, pace: Pace, decode: Callable[[msgspec.Raw], Any]) -> None:
        self.changes: list[Change[Any]] = []
        source = Source(path="/api/v1/pods", field_selector="spec.nodeName=n1")
        self.reflector: Reflector[Any] = Reflector(
            api, source, decode=decode, deliver=self._deliver, pace=pace
        )

    async def _deliver(self, change: Change[Any]) -> None:
        self.changes.append(change)

    def told(self) -> list[str]:
        """The changes in short: `+a` added, `~a` modified, `-a` deleted, `=` synced."""
        return [_short(change) for change in self.changes]

    async def wait_told(self, *told: str) -> None:
        try:
            await until(lambda: len(self.told()) >= len(told))
        except TimeoutError as error:
            raise AssertionError(f"told only {self.told()}") from error
        assert self.told() == list(told)


def _short(change: Change[Any]) -> str:
    match change:
        case Synced():
            return "="
        case Added():
            sign = "+"
        case Modified():
            sign = "~"
        case Deleted():
            sign = "-"
    return sign + str(change.object["metadata"]["name"])


@contextlib.asynccontextmanager
async def following(
    server: RecordedServer,
    *,
    pace: Pace = QUICK,
    decode: Callable[[msgspec.Raw], Any] = msgspec.json.decode,
) -> AsyncIterator[Followed]:
    async with connected(Connection(server=server.url), user_agent="test") as api:
        followed = Followed(api, pace, decode)
        # A TaskGroup would wrap the test's own failure in a group.
        task = asyncio.create_task(followed.reflector.run())  # noqa: TID251 -- see above
        try:
            yield followed
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
