"""Pods whose plan is lost while their containers run, as the executor's own `Planless` has them."""

import signal

from podmodel.clock import Clock
from podmodel.disk import Disk
from podmodel.keeper import Keeper, Key
from wasm_executor.domain.frame import MIN_GRACE_S, Rules
from wasm_executor.domain.unplanned import ended_without_plan


class Planless:
    """The runs of pods that have a record and no plan."""

    def __init__(self, clock: Clock, keeper: Keeper, disk: Disk, rules: Rules) -> None:
        self._clock = clock
        self._keeper = keeper
        self._disk = disk
        self._rules = rules
        self.uids: set[str] = set()
        self._ending: dict[str, float] = {}

    @property
    def kill_at(self) -> float | None:
        return min(self._ending.values(), default=None)

    def take(self, uid: str) -> None:
        self.uids.add(uid)
        for run in self._keeper.present(uid):
            self._keep_end(Key(uid, run.container, run.run))

    def give(self, uid: str) -> None:
        """Its plan has come."""
        self.uids.discard(uid)
        self._ending.pop(uid, None)

    def hear(self, key: Key) -> bool:
        if key.uid not in self.uids:
            return False
        self._keep_end(key)
        self._drop_if_dead(key.uid)
        return True

    def _keep_end(self, key: Key) -> None:
        record = self._disk.record(key.uid)
        for run in self._keeper.present(key.uid):
            if record is not None and run.end is not None and run.run == key.run:
                record = ended_without_plan(record, run, self._rules)
                self._disk.keep(record)

    def forget(self, uid: str, grace_s: float) -> None:
        """The pod is gone: end what runs of it, then drop what is left."""
        if self._disk.record(uid) is None:
            return
        self._ending[uid] = self._clock.mono + max(grace_s, MIN_GRACE_S)
        for process in self._keeper.alive(uid):
            self._keeper.tell(process.key, signal.SIGTERM)
        self._drop_if_dead(uid)

    def halt(self) -> None:
        for uid in self.uids:
            for process in self._keeper.alive(uid):
                self._keeper.tell(process.key, signal.SIGKILL)

    def wake(self) -> None:
        for uid, kill_at in tuple(self._ending.items()):
            if kill_at <= self._clock.mono:
                for process in self._keeper.alive(uid):
                    self._keeper.tell(process.key, signal.SIGKILL)
                self._drop_if_dead(uid)

    def _drop_if_dead(self, uid: str) -> None:
        if uid in self._ending and not self._keeper.alive(uid):
            del self._ending[uid]
            self.uids.discard(uid)
            for run in self._keeper.present(uid):
                self._keeper.forget(Key(uid, run.container, run.run))
            self._disk.drop(uid)
