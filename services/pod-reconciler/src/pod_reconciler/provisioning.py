"""Bringing each pod of a node what the API holds for it, and again whenever that changes."""

from collections.abc import Callable
from typing import NamedTuple

from contract.ids import NodeName, PodUid
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.tracking import NodeView
from pod_reconciler.supplies import Order, Supplies
from servicekit.tracing import step


class _User(NamedTuple):
    node: NodeName
    uid: PodUid


class Provisioner:
    """The step of one node's provision lane. `changed` is called where a pod has work for it."""

    def __init__(
        self, view: NodeView, supplies: Supplies, changed: Callable[[PodUid], None]
    ) -> None:
        self._view = view
        self._supplies = supplies
        self._changed = changed
        self._served: dict[PodUid, int] = {}
        """The generation of each pod's spec for which it was gathered last."""
        self._outdated: set[PodUid] = set()
        self._held: set[PodUid] = set()
        """The pods that something may be held for, if only because reading for them failed."""

    def is_due(self, uid: PodUid) -> bool:
        """Whether the step has something to do for a pod."""
        record = self._wanting(uid)
        if record is None:
            return uid in self._held
        return uid in self._outdated or self._served.get(uid) != _generation(record)

    async def step(self, uid: PodUid) -> float | None:
        """Gather for one pod, or let go of what was gathered for it."""
        if not self.is_due(uid):
            return None
        record, user = self._wanting(uid), _User(self._view.node, uid)
        if record is None or record.pod is None:
            self._supplies.release(user)
            self._served.pop(uid, None)
            self._outdated.discard(uid)
            self._held.discard(uid)
            return 0.0
        order = Order(
            user=user,
            pod=record.pod,
            notify=lambda: self._outdate(uid),
            anew=uid not in self._served,
            is_static=record.is_static,
        )
        generation = _generation(record)
        self._outdated.discard(uid)
        self._held.add(uid)
        try:
            with step("sources.read"):
                material = await self._supplies.gather(order)
        except BaseException:
            self._outdated.add(uid)
            raise
        self._served[uid] = generation
        with step("pod.plan"):
            self._view.on_material(uid, material)
        return 0.0

    def leave(self) -> None:
        """Let go of what was gathered for any pod. No step may be under way."""
        for uid in self._held:
            self._supplies.release(_User(self._view.node, uid))
        self._held.clear()

    def _outdate(self, uid: PodUid) -> None:
        self._outdated.add(uid)
        self._changed(uid)

    def _wanting(self, uid: PodUid) -> PodRecord | None:
        record = self._view.records.get(uid)
        return record if record is not None and record.wants_material else None


def _generation(record: PodRecord) -> int:
    assert record.pod is not None
    return record.pod.metadata.generation
