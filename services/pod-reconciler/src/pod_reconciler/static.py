"""Pods of a folder of manifests: statuses in memory, a file that tells of them.

What the folder wants is decided by `domain.staticpods`. Nothing here needs an API server; where
there is one, `mirroring` shows it these pods.
"""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from contract.ids import NodeName
from contract.messages.report import Occurrence
from contract.staticstatus import StaticStatus
from pod_reconciler.domain.cluster import PodVersion, StatusWrite, Watcher
from pod_reconciler.domain.manifest import Manifest, bound
from pod_reconciler.domain.outcome import outcome_of
from pod_reconciler.domain.pod import Json, Pod
from pod_reconciler.domain.staticpods import Begin, StaticPods, from_nothing
from pod_reconciler.errors import ActFailedError
from pod_reconciler.manifests import ManifestFolder

log = structlog.get_logger()


class StaticCluster:
    """Implements `domain.cluster.Cluster` over a folder."""

    def __init__(
        self,
        folder: Path,
        interval_s: float,
        *,
        status_file: Path | None = None,
        bind: Callable[[Manifest, NodeName], Json] = bound,
        begin: Begin = from_nothing,
    ) -> None:
        """`bind` makes a manifest a node's pod; `begin` completes it when it is first shown."""
        self._folder = ManifestFolder(folder)
        self._interval_s = interval_s
        self._status_file = status_file
        self.pods = StaticPods(bind, begin)
        self._nodes: set[NodeName] = set()
        self._told: StaticStatus | None = None
        self._read_at = -math.inf
        self._changed: dict[NodeName, asyncio.Event] = {}

    def load(self) -> None:
        """Read the folder and say what is wrong with it, before any node is there."""
        self._read()
        self._tell_outcome()

    @property
    def errors(self) -> list[str]:
        """A line for each manifest that cannot be used."""
        return [*self._folder.errors, *self.pods.refused]

    async def follow(self, node: NodeName, watcher: Watcher) -> None:
        self._read()
        self.pods.show_known(node, watcher)
        self._compare(node, watcher)
        self._nodes.add(node)
        watcher.synced()
        self._tell_outcome()
        changed = self._changed[node] = asyncio.Event()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await changed.wait()
            changed.clear()
            self._read()
            self.pods.show_gone(node, watcher)
            self._compare(node, watcher)
            self._tell_outcome()

    def leave(self, node: NodeName) -> None:
        self._nodes.discard(node)
        self._changed.pop(node, None)
        self.pods.leave(node)

    async def write_status(self, write: StatusWrite, timeout_s: float) -> PodVersion:
        del timeout_s  # memory is quick
        version = self.pods.write_status(write)
        self._tell_outcome()
        return version

    async def remove(self, pod: Pod, timeout_s: float) -> None:
        del timeout_s
        self.pods.remove(pod)
        if (changed := self._changed.get(NodeName(pod.spec.node_name))) is not None:
            changed.set()

    async def find(self, namespace: str, name: str, timeout_s: float) -> Pod | None:
        del timeout_s
        for pod in self.pods.views:
            if (pod.metadata.namespace, pod.metadata.name) == (namespace, name):
                return pod
        if self._folder.errors:
            # Its manifest may be the one that cannot be read: that is no reason to stop it.
            raise ActFailedError(f"{namespace}/{name} may be in a manifest that cannot be read")
        return None

    def tell(self, node: NodeName, pod: Pod, what: Occurrence) -> None:
        log.info(
            "pod.happened",
            node=node,
            namespace=pod.metadata.namespace,
            pod=pod.metadata.name,
            container=what.container,
            type=what.type,
            reason=what.reason,
            message=what.message,
        )

    def _read(self) -> None:
        """Once in an interval, however many nodes look; half of one, for no two clocks agree."""
        now = time.monotonic()
        if now - self._read_at >= self._interval_s / 2:
            self._read_at = now
            self._folder.read()

    def _compare(self, node: NodeName, watcher: Watcher) -> None:
        manifests = self._folder.manifests
        for line in self.pods.compare(manifests, node, watcher, datetime.now(UTC)):
            log.error("manifest.refused", problem=line)

    def _tell_outcome(self) -> None:
        if self._status_file is None:
            return
        outcome = outcome_of(self.pods.views, self.errors, loaded=bool(self._nodes))
        if outcome == self._told:
            return
        self._told = outcome
        _write_whole(self._status_file, msgspec.json.encode(outcome))


def _write_whole(file: Path, content: bytes) -> None:
    """Replace a file in one step: a reader sees the old or the new one, never half."""
    draft = file.with_name(f".{file.name}.new")
    try:
        draft.write_bytes(content)
        draft.replace(file)
    except OSError as error:
        log.error("status_file.failed", file=str(file), reason=str(error))  # noqa: TRY400 - one line says it
