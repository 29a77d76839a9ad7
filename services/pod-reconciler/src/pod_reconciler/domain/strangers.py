"""Pods that a node tells of and the watch does not show: left over, early, or forged.

Nobody vouches for them, so there are only so many, and what is none of the API's names is neither
asked for nor answered.
"""

from typing import Final

import msgspec

from contract.errors import InvalidTokenError
from contract.ids import PodUid, id_token
from contract.messages.report import PodReported
from pod_reconciler.domain.forms import LABEL, SUBDOMAIN

MAX_STRANGERS: Final = 1000
"""Of one node, those included that turned out to have no object and are still to be forgotten."""


class Stranger(msgspec.Struct, kw_only=True, eq=False):
    """One of them."""

    namespace: str
    name: str
    report: PodReported | None = None
    """None of a pod that the inventory alone names."""
    ask_at_s: float


def can_exist(uid: PodUid, namespace: str, name: str) -> bool:
    """Whether an API server may have a pod of this UID, namespace and name."""
    try:
        id_token(uid)
    except InvalidTokenError:
        return False
    return bool(LABEL.fullmatch(namespace) and SUBDOMAIN.fullmatch(name))
