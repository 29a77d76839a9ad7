"""The kubelet's own series, as far as they mean something here, with its names, labels and bounds.

They are counted where the knowledge is. The log-server asks for them with the node's usage and
shows them on the kubelet port; the admin port has them too.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from contract.messages.pod import ContainerRole
from contract.messages.report import Occurrence
from contract.messages.usage import Counted, CountedSample
from contract.messages.volume import EmptyDir, Files, HostPath, ImageVolume, VolumePlan
from wasm_executor.domain.pod import Pod
from wasm_executor.domain.states import ALIVE, Phase
from wasm_executor.keeper.errors import UnknownContainerError

_OURS: Final = ("kubelet_", "storage_operation_", "volume_manager_")
_BARE: Final = frozenset({"kubelet_evictions"})
"""Counters that are called so: the library calls each one `_total`."""
_NEVER: Final = "_created"
PULLING: Final = "Pulling"

OPERATIONS: Final = Counter(
    "kubelet_runtime_operations",
    "[ALPHA] Cumulative number of runtime operations by operation type.",
    ("operation_type",),
)
OPERATION_ERRORS: Final = Counter(
    "kubelet_runtime_operations_errors",
    "[ALPHA] Cumulative number of runtime operation errors by operation type.",
    ("operation_type",),
)
OPERATION_SECONDS: Final = Histogram(
    "kubelet_runtime_operations_duration_seconds",
    "[ALPHA] Duration in seconds of runtime operations. Broken down by operation type.",
    ("operation_type",),
    buckets=[0.005 * 2.5**power for power in range(14)],
)
WORKER_SECONDS: Final = Histogram(
    "kubelet_pod_worker_duration_seconds",
    "[ALPHA] Duration in seconds to sync a single pod. Broken down by operation type: create,"
    " update, or sync",
    ("operation_type",),
)
START_SECONDS: Final = Histogram(
    "kubelet_pod_start_duration_seconds",
    "[ALPHA] Duration in seconds from kubelet seeing a pod for the first time to the pod starting"
    " to run",
    buckets=(
        *(0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900),
        *(1200, 1800, 2700, 3600),
    ),
)
RELIST_SECONDS: Final = Histogram(
    "kubelet_pleg_relist_duration_seconds",
    "[ALPHA] Duration in seconds for relisting pods in PLEG.",
)
RELIST_INTERVAL_SECONDS: Final = Histogram(
    "kubelet_pleg_relist_interval_seconds",
    "[ALPHA] Interval in seconds between relisting in PLEG.",
)
EVICTIONS: Final = Counter(
    "kubelet_evictions",
    "[ALPHA] Cumulative number of pod evictions by eviction signal",
    ("eviction_signal",),
)
STORAGE_SECONDS: Final = Histogram(
    "storage_operation_duration_seconds",
    "[ALPHA] Storage operation duration",
    ("volume_plugin", "operation_name", "status", "migrated"),
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600),
)

VOLUMES: Final = Gauge(
    "volume_manager_total_volumes",
    "[ALPHA] Number of volumes in Volume Manager",
    ("plugin_name", "state"),
)


@contextmanager
def operation(kind: str) -> Iterator[Callable[[], None]]:
    """Count what the block does; call what it is given where that fails without an exception.

    That a container is not there any more is no failure: its end was on its way.
    """
    failed, began = OPERATION_ERRORS.labels(kind), time.monotonic()
    OPERATIONS.labels(kind).inc()
    try:
        yield failed.inc
    except UnknownContainerError:
        raise
    except Exception:
        failed.inc()
        raise
    finally:
        OPERATION_SECONDS.labels(kind).observe(time.monotonic() - began)


class Relists:
    """The looks at all pods, one for each beat. What changes is told without them, by the kernel's
    word; but that they are quick, and in time, is how a node shows that it keeps up.
    """

    def __init__(self) -> None:
        self._last: float | None = None

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a look."""
        began = time.monotonic()
        if self._last is not None:
            RELIST_INTERVAL_SECONDS.observe(began - self._last)
        self._last = began
        yield
        RELIST_SECONDS.observe(time.monotonic() - began)


class PodTurns:
    """The turns of one pod: how long each took, and when it ran first. One that is taken over from
    an earlier supervisor is not seen for the first time.
    """

    def __init__(self, pod: Pod) -> None:
        is_new = all(each.phase is Phase.PENDING for each in pod.containers)
        self._kind = "create" if is_new else "sync"
        self._seen: float | None = time.monotonic() if is_new else None

    @contextmanager
    def one(self, pod: Pod) -> Iterator[None]:
        """Count a turn."""
        began = time.monotonic()
        try:
            yield
        finally:
            ended = time.monotonic()
            WORKER_SECONDS.labels(self._kind).observe(ended - began)
            self._kind = "sync"
            if self._seen is not None and _runs(pod):
                START_SECONDS.observe(ended - self._seen)
                self._seen = None


def _runs(pod: Pod) -> bool:
    return any(
        each.phase in ALIVE and each.plan.role is ContainerRole.APP for each in pod.containers
    )


class Pull:
    """The pull of an image, if there is one: it begins with the Event that says so."""

    def __init__(self, tell: Callable[[Occurrence], None]) -> None:
        self._tell = tell
        self._began: float | None = None

    def tell(self, occurrence: Occurrence) -> None:
        """Listen to what is told of the image."""
        if occurrence.reason == PULLING:
            self._began = time.monotonic()
        self._tell(occurrence)

    def end(self, *, failed: bool) -> None:
        """The image is there, or will not be for now."""
        if self._began is None:
            return
        OPERATIONS.labels("pull_image").inc()
        OPERATION_SECONDS.labels("pull_image").observe(time.monotonic() - self._began)
        if failed:
            OPERATION_ERRORS.labels("pull_image").inc()


def mounted(volumes: tuple[VolumePlan, ...], seconds: float, *, failed: bool) -> None:
    """Count a pod's volumes; they are made side by side."""
    for each in volumes:
        status = "fail-unknown" if failed else "success"
        plugin = f"kubernetes.io/{_plugin(each)}"
        STORAGE_SECONDS.labels(plugin, "volume_mount", status, "false").observe(seconds)


def count_volumes(pods: Iterable[Pod]) -> None:
    """Count the volumes of pods that have not ended: all of them, and those of pods that run."""
    wanted = [pod for pod in pods if not pod.stopped]
    there = [pod for pod in wanted if any(each.pid is not None for each in pod.containers)]
    VOLUMES.clear()
    for state, found in (("desired_state_of_world", wanted), ("actual_state_of_world", there)):
        for volume in (volume for pod in found for volume in pod.plan.volumes):
            VOLUMES.labels(f"kubernetes.io/{_plugin(volume)}", state).inc()


def _plugin(volume: VolumePlan) -> str:
    match volume.source:
        case EmptyDir():
            return "empty-dir"
        case HostPath():
            return "host-path"
        case ImageVolume():
            return "image"
        case Files() | None:  # a node is not told which of the kinds they were made of
            return "projected"


def counted() -> tuple[Counted, ...]:
    """Return all of them as they stand."""
    return tuple(
        Counted(
            name=_called(family.samples[0].name) if family.type == "counter" else family.name,
            help=family.documentation,
            kind=family.type,
            samples=tuple(
                CountedSample(name=_called(each.name), labels=dict(each.labels), value=each.value)
                for each in family.samples
                if not each.name.endswith(_NEVER)
            ),
        )
        for family in REGISTRY.collect()
        if family.name.startswith(_OURS) and family.samples
    )


def _called(name: str) -> str:
    bare = name.removesuffix("_total")
    return bare if bare in _BARE else name
