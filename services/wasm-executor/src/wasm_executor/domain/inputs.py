"""What a pod is told: plans from the bus, news of its own work, exits from the keeper."""

from datetime import datetime

import msgspec

from contract.ids import ContainerName
from contract.messages.pod import PodPlan
from wasm_executor.domain.checkpoint import Sentence
from wasm_executor.domain.checks import HookKind, ProbeKind, Verdict


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what arrives in a pod's queue."""


class ContainerInput(Input, frozen=True, kw_only=True):
    """Base of what concerns one container alone."""

    container: ContainerName


class PlanArrived(Input, frozen=True, kw_only=True):
    """A plan that differs from the one in force."""

    plan: PodPlan


class VolumesPrepared(Input, frozen=True, kw_only=True):
    """The pod's volumes are as this attempt's plan had them."""

    attempt: int


class VolumesFailed(Input, frozen=True, kw_only=True):
    """A volume could not be made; `message` names it, in the kubelet's words."""

    attempt: int
    message: str


class ImagePrepared(ContainerInput, frozen=True, kw_only=True):
    attempt: int
    image_id: str
    mounted: tuple[str, ...] = ()
    """IDs of the images that are its volumes."""


class PreparationFailed(ContainerInput, frozen=True, kw_only=True):
    """There is no image to run, or no process to run it in.

    `back_off_message` is what waits under `ImagePullBackOff` until the next attempt; without it
    the reason itself stays.
    """

    attempt: int
    reason: str
    message: str
    back_off_message: str | None = None


class RunStarted(ContainerInput, frozen=True, kw_only=True):
    """The guest is about to execute its first instruction."""

    run: int
    pid: int
    at: datetime


class RunRefused(ContainerInput, frozen=True, kw_only=True):
    """The runtime could not begin: exit code 128 in the words of container runtimes."""

    run: int
    message: str


class RunEnded(ContainerInput, frozen=True, kw_only=True):
    """A run is over. `lost` says that its executor died under it."""

    run: int
    exit_code: int
    at: datetime
    at_mono: float | None = None
    """The same on the monotonic clock, where the keeper of this life has seen it."""
    started_at: datetime
    signal: int = 0
    message: str = ""
    refused: bool = False
    """It never came to its first instruction; `message` says why."""
    lost: bool = False


class MemoryExceeded(ContainerInput, frozen=True, kw_only=True):
    run: int


class ProbeFinished(ContainerInput, frozen=True, kw_only=True):
    """What a probe found. `warning` says what is odd about a success."""

    run: int
    kind: ProbeKind
    verdict: Verdict
    output: str = ""
    warning: str = ""
    state: Verdict = Verdict.UNKNOWN
    """In which state an UNKNOWN leaves the container, as the kubelet words it."""


class HookFinished(ContainerInput, frozen=True, kw_only=True):
    """A hook is over; `failure` says what went wrong, if anything did."""

    run: int
    kind: HookKind
    failure: str | None = None


class Deleted(Input, frozen=True, kw_only=True):
    """The API shows the pod's deletion, and this much of its grace is left."""

    grace_s: float


class Condemned(Input, frozen=True, kw_only=True):
    """The node ends the pod: it shuts down, or has to make room."""

    sentence: Sentence
    grace_s: float


class Forgotten(Input, frozen=True, kw_only=True):
    """The API object is gone."""

    grace_s: float


class Confirmed(Input, frozen=True, kw_only=True):
    """The pod is still wanted as its plan has it."""


class Halted(Input, frozen=True, kw_only=True):
    """The executor stops, or lost its node: end what runs, tell nobody.

    Without `grace_s` the pod has its own.
    """

    grace_s: float | None = None


class Woken(Input, frozen=True, kw_only=True):
    """Time has passed."""
