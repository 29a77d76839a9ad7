"""The status file of static mode: the reconciler writes what its pods do, whoever started it reads.

There is no API server in that mode, so this file takes its place. It is replaced whole at each
change.
"""

import msgspec


class StaticContainer(msgspec.Struct, frozen=True, kw_only=True):
    """One container. `state` is waiting, running or terminated."""

    name: str
    state: str
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    restart_count: int = 0


class StaticPod(msgspec.Struct, frozen=True, kw_only=True):
    """One pod of the manifests."""

    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    reason: str = ""
    message: str = ""
    containers: tuple[StaticContainer, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the pod will not run again."""
        return self.phase in ("Succeeded", "Failed")


class StaticStatus(msgspec.Struct, frozen=True, kw_only=True):
    """All static pods. `ready`: the folder was read and a node has taken each pod on, or refused.

    `errors` has a line for each manifest that cannot be used.
    """

    ready: bool = False
    pods: tuple[StaticPod, ...] = ()
    errors: tuple[str, ...] = ()
