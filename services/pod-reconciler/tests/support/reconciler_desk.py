"""A watcher that only looks on, for what is shown to a desk."""

from contract.ids import PodUid
from pod_reconciler.domain.cluster import PodVersion
from pod_reconciler.domain.pod import Pod


class Desk:
    """A watcher that has nothing left to do about any pod."""

    def __init__(self) -> None:
        self.node_uid = ""
        self.seen: dict[str, Pod] = {}

    def pod_seen(self, version: PodVersion) -> None:
        self.seen[version.pod.metadata.name] = version.pod

    def pod_gone(self, uid: PodUid) -> None:
        """No matter."""

    def remembers(self, uid: PodUid) -> bool:  # noqa: ARG002 - as the protocol has it
        return False

    def synced(self) -> None:
        """No matter."""

    def write_timeout_s(self) -> float:
        return 1.0
