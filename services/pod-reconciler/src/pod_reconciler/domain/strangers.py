"""Pods that a node tells of and the watch does not show: left over, early, or forged.

Nobody vouches for them, so there are only so many, and what is none of the API's names is neither
asked for nor answered.
"""

from collections.abc import Collection
from typing import Final

import msgspec

from contract.errors import InvalidTokenError
from contract.ids import NodeName, PodUid, id_token
from contract.messages.report import InventoryEntry, PodReported
from pod_reconciler.domain.forms import LABEL, SUBDOMAIN
from pod_reconciler.domain.pod import Pod

MAX_STRANGERS: Final = 1000
"""Of one node, those included that turned out to have no object and are still to be forgotten."""
ASK_AGAIN_S: Final = 5.0
ASK_AGAIN_ELSEWHERE_S: Final = 300.0


class Stranger(msgspec.Struct, kw_only=True, eq=False):
    """One of them."""

    namespace: str
    name: str
    report: PodReported | None = None
    """None of a pod that the inventory alone names."""
    ask_at_s: float


class Strangers(dict[PodUid, Stranger]):
    """Those of one node that may have an object, by UID."""

    def __init__(self) -> None:
        super().__init__()
        self._gone: set[PodUid] = set()

    def has_room_for(self, uid: PodUid) -> bool:
        """Whether this is one of them, or may become one."""
        return uid in self or len(self) + len(self._gone) < MAX_STRANGERS

    def tell(self, report: PodReported, now_s: float) -> None:
        """What a node reports of one. It is asked about when it was to be, a new one at once."""
        known = self.get(report.uid)
        self[report.uid] = Stranger(
            namespace=report.namespace,
            name=report.name,
            report=report,
            ask_at_s=now_s if known is None else known.ask_at_s,
        )

    def note(self, entry: InventoryEntry) -> None:
        """One that no report tells of, and perhaps no watch: ask, or its logs stay for ever."""
        if entry.uid in self or not self.has_room_for(entry.uid):
            return
        if can_exist(entry.uid, entry.namespace, entry.name):
            self[entry.uid] = Stranger(namespace=entry.namespace, name=entry.name, ask_at_s=0.0)

    def keep_only(self, uids: Collection[PodUid]) -> None:
        """The node has no others any more."""
        for uid in self.keys() - set(uids):
            del self[uid]

    def take_answer(
        self, uid: PodUid, found: Pod | None, node: NodeName, now_s: float
    ) -> Stranger | None:
        """What a GET by name said. The stranger, if that is gone and yet to be forgotten."""
        stranger = self.get(uid)
        if stranger is None:
            return None
        if found is not None and found.metadata.uid == uid:
            here = found.spec.node_name == node
            stranger.ask_at_s = now_s + (ASK_AGAIN_S if here else ASK_AGAIN_ELSEWHERE_S)
            return None
        self._gone.add(uid)
        return self.pop(uid)

    def forgotten(self, uid: PodUid) -> None:
        """The node has nothing of it any more, if it was one of them."""
        self._gone.discard(uid)


def can_exist(uid: PodUid, namespace: str, name: str) -> bool:
    """Whether an API server may have a pod of this UID, namespace and name."""
    try:
        id_token(uid)
    except InvalidTokenError:
        return False
    return bool(LABEL.fullmatch(namespace) and SUBDOMAIN.fullmatch(name))
