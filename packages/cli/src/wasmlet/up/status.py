"""The status file in which the reconciler says what static pods do."""

from pathlib import Path

import msgspec


class ContainerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One container: `state` is waiting, running or terminated."""

    name: str
    state: str
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    restart_count: int = 0


class PodStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One pod of the manifests."""

    namespace: str
    name: str
    uid: str
    phase: str
    reason: str = ""
    message: str = ""
    containers: tuple[ContainerStatus, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the pod will not run again."""
        return self.phase in ("Succeeded", "Failed")


class StaticStatus(msgspec.Struct, frozen=True, kw_only=True):
    """All pods. `ready` is true when every plan has been accepted."""

    pods: tuple[PodStatus, ...] = ()
    errors: tuple[str, ...] = ()
    ready: bool = False


def read_status(file: Path) -> StaticStatus:
    """Return what the file says now, nothing where it is not there yet."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=StaticStatus)
    except FileNotFoundError:
        return StaticStatus()
