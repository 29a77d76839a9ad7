"""What an executor leaves behind: its identity, its plans on tmpfs, its checkpoint on disk."""

import msgspec

from contract.messages.form import Incarnation, Term
from contract.messages.pod import PodPlan
from wasm_executor.domain.checkpoint import PodRecord
from wasm_executor.domain.ordering import Rank


class StoredPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan with its place among all plans of its pod."""

    rank: Rank
    digest: str
    plan: PodPlan


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """The node shuts down, as long as a life of the executor lasts."""

    life: Incarnation
    until: float


class Disk:
    """Survives supervisors and keepers; a reboot takes the plans, a lost disk everything."""

    def __init__(self) -> None:
        self.executor = 1
        self.life = 1
        self.epoch = 1
        self.term: Term | None = None
        self.drained: Drain | None = None
        self.plans: dict[str, StoredPlan] = {}
        self._records: dict[str, bytes] = {}

    @property
    def incarnation(self) -> Incarnation:
        return Incarnation(executor_id=f"x{self.executor}", start_count=self.life)

    @property
    def drain(self) -> Drain | None:
        """The present life's."""
        drained = self.drained
        return drained if drained is not None and drained.life == self.incarnation else None

    def keep(self, record: PodRecord) -> None:
        self._records[record.uid] = msgspec.json.encode(record)

    def record(self, uid: str) -> PodRecord | None:
        """As it is read back."""
        kept = self._records.get(uid)
        return None if kept is None else msgspec.json.decode(kept, type=PodRecord)

    def uids(self) -> list[str]:
        return list(self._records)

    def drop(self, uid: str) -> None:
        self.plans.pop(uid, None)
        self._records.pop(uid, None)

    def reboot(self) -> None:
        """What lay on tmpfs is gone."""
        self.plans.clear()
        self.term = self.drained = None

    def lose(self) -> None:
        """Another machine, or an empty disk: another executor."""
        self.reboot()
        self._records.clear()
        self.executor += 1
        self.life = 0
