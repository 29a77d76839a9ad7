"""What survives on disk of each pod, so that counts go on and nothing finished runs again.

No secret is in it: no command, no environment, only names, counts and exits.
"""

from datetime import datetime

import msgspec

from contract.ids import ContainerName, PodUid
from contract.messages.report import Terminated
from wasm_executor.domain.backoff import BackOff


class ContainerRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One container's past. `run` counts from 0; -1 means that there was none."""

    name: ContainerName
    run: int = -1
    image: str = ""
    """What the run was made of."""
    underway: bool = False
    """The run was spawned and its end is not known."""
    ended: bool = False
    """For good."""
    due: bool = False
    """It is to run once more, whatever the policy says of its latest end: that was not its own."""
    started_at: datetime | None = None
    latest_end: Terminated | None = None
    previous_end: Terminated | None = None
    crash: BackOff | None = None
    crash_over_mono: float | None = None
    """When its back-off is over. This and `begun_mono` are of the life that wrote the record."""
    begun_mono: float | None = None
    """When the run that is underway began."""
    image_id: str = ""
    mounted: tuple[str, ...] = ()
    """IDs of the images that the run sees as volumes."""
    started: bool = False
    ready: bool = False


class Sentence(msgspec.Struct, frozen=True, kw_only=True):
    """Why a node ends a pod, as the pod's status says it."""

    reason: str
    message: str


class PodRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One pod's past."""

    uid: PodUid
    namespace: str
    name: str
    started_at: datetime
    begun_mono: float | None = None
    """The same on the monotonic clock of that life: deadlines count from there."""
    start_count: int
    """The executor's life in which this was written: a run underway in an older one is lost."""
    containers: tuple[ContainerRecord, ...]
    sentence: Sentence | None = None
    restarting_all: bool = False
    forgotten: bool = False
    """The API object is gone, and what runs of the pod is being ended."""
