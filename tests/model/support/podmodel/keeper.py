"""A model of the keeper: which processes there are, and how each of them ends.

It is what really happens in the model, so it is the place that sees two processes of one container.
"""

import signal
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from podmodel.clock import Clock
from wasm_executor.domain.inputs import RunEnded
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.restoring import Present

KILLED: Final = 128 + signal.SIGKILL


OBEYING_S: Final = 1e-6
"""Nobody ends at the moment at which he is told to."""


class Key(NamedTuple):
    """One run of one container."""

    uid: str
    container: str
    run: int


class Process(msgspec.Struct, kw_only=True, eq=False):
    """A guest, alive or with its end."""

    key: Key
    pid: int
    image: str
    started_at: datetime
    begun_at: float
    stubborn: bool = False
    """It ignores SIGTERM, and that its stdin is closed."""
    told_at: float | None = None
    code: int | None = None

    @property
    def alive(self) -> bool:
        return self.code is None


class Keeper:
    """Its table survives every supervisor."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pids = 0
        self.table: dict[Key, Process] = {}
        self.exits: list[Key] = []
        """Ends that the supervisor has yet to hear of."""
        self.past: dict[tuple[str, str], Process] = {}
        """The latest process of each container, forgotten ones included."""
        self._ends: dict[Key, Moment] = {}

    def alive(self, uid: str | None = None) -> list[Process]:
        return [
            each
            for each in self.table.values()
            if each.alive and (uid is None or each.key.uid == uid)
        ]

    def runs(self, uid: str, container: str) -> bool:
        return any(each.key.container == container for each in self.alive(uid))

    def spawn(self, key: Key, image: str) -> Process:
        assert not self.runs(key.uid, key.container), f"{key} would be a second process"
        assert key not in self.table, f"{key} is there already"
        self._pids += 1
        now = self._clock.now
        process = Process(
            key=key, pid=self._pids, image=image, started_at=now.wall, begun_at=now.mono
        )
        self.table[key] = self.past[key.uid, key.container] = process
        return process

    def tell(self, key: Key, number: int) -> None:
        """Signal a process; number 0 stands for the end of its stdin."""
        process = self.table.get(key)
        if process is None or not process.alive:
            return
        if number == signal.SIGKILL:
            self.end(key, KILLED)
            return
        process.told_at = self._clock.mono if process.told_at is None else process.told_at
        if not process.stubborn:
            self.end(key, 128 + number if number else 0, after_s=OBEYING_S)

    def end(self, key: Key, code: int, after_s: float = 0.0) -> None:
        self.table[key].code = code
        now = self._clock.now
        self._ends[key] = Moment(now.wall, now.mono + after_s)
        self.exits.append(key)

    def forget(self, key: Key) -> None:
        """The supervisor has taken the end of a run to account."""
        process = self.table.get(key)
        if process is not None and not process.alive:
            del self.table[key]

    def die(self, *, with_records: bool) -> None:
        """All processes end with it; of what it kept on tmpfs the next one makes its table."""
        self.exits.clear()
        for process in self.alive():
            process.code = KILLED
            self._ends[process.key] = self._clock.now
        if not with_records:
            self.table.clear()

    def ended(self, process: Process) -> RunEnded:
        assert process.code is not None
        key, code = process.key, process.code
        return RunEnded(
            container=key.container,  # type: ignore[arg-type]  # the model's names are plain text
            run=key.run,
            exit_code=code,
            signal=code - 128 if code > 128 else 0,
            at=self._ends[key].wall,
            at_mono=self._ends[key].mono,
            started_at=process.started_at,
        )

    def present(self, uid: str) -> list[Present]:
        """The rows of one pod, as witnesses."""
        return [
            Present(
                container=each.key.container,  # type: ignore[arg-type]  # as above
                run=each.key.run,
                pid=each.pid,
                started_at=each.started_at,
                end=None if each.alive else self.ended(each),
            )
            for each in self.table.values()
            if each.key.uid == uid
        ]
