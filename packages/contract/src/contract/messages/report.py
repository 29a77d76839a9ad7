"""What a node runs: whole states of pods, and the occurrences that become Events."""

from datetime import datetime
from typing import Literal

import msgspec

from contract.ids import ContainerName, PodUid
from contract.messages.form import Command, Event, Incarnation, Message, Term


class Waiting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="waiting"):
    """Not started, or between two runs."""

    reason: str
    message: str = ""


class Running(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="running"):
    """The guest runs."""

    started_at: datetime


class Terminated(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="terminated"):
    """The guest has ended. `exit_code` is 128 + n for signal n, as container runtimes report it."""

    exit_code: int
    reason: str
    started_at: datetime
    finished_at: datetime
    container_id: str = ""
    message: str = ""
    signal: int = 0


ContainerState = Waiting | Running | Terminated


class ContainerReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One container as the node sees it, in the terms of `containerStatuses`."""

    name: ContainerName
    state: ContainerState
    last_state: Terminated | None = None
    restart_count: int = 0
    container_id: str = ""
    """`wasmtime://<hex>`, unique per run; empty until the first run was created."""
    image: str = ""
    image_id: str = ""
    ready: bool = False
    started: bool = False


class PodReported(Event, frozen=True, kw_only=True, omit_defaults=True, tag="pod_reported"):
    """A pod's whole state, numbered by (incarnation, epoch, sequence).

    `stopped` says that every container is dead and none will run again: the reconciler may then
    finish a deletion with grace 0.
    """

    uid: PodUid
    namespace: str
    name: str
    incarnation: Incarnation
    epoch: int
    sequence: int
    plan_digest: str
    generation: int
    term: Term
    started_at: datetime
    containers: tuple[ContainerReport, ...]
    """In the plan's order, of every role."""
    stopped: bool = False
    reason: str = ""
    """Why the node ends the pod: `DeadlineExceeded`, `Terminated` or `Evicted`."""
    message: str = ""
    restarting_all: bool = False
    """A container's exit has asked for a restart of all of them, which is under way."""
    awaits_volumes: bool = False
    """No container has begun, for its volumes are not there yet."""
    deleted: bool = False
    """It ends because a plan said so; no later plan can take that back."""

    def subject_id(self) -> str:
        return self.uid


class Occurrence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a user looks for in `kubectl describe`, in the kubelet's words."""

    reason: str
    message: str
    at: datetime
    type: Literal["Normal", "Warning"] = "Normal"
    container: ContainerName | None = None


class PodHappened(Event, frozen=True, kw_only=True, omit_defaults=True, tag="pod_happened"):
    """Occurrences of one pod, in order. They become Events and never hold up a status."""

    uid: PodUid
    namespace: str
    name: str
    incarnation: Incarnation
    occurrences: tuple[Occurrence, ...]

    def subject_id(self) -> str:
        return self.uid


class InventoryEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One pod that an executor knows.

    A pod without a plan digest is one of which a reboot left logs and counts alone. No report tells
    of it, so its entry says its name.
    """

    uid: PodUid
    plan_digest: str
    epoch: int
    sequence: int
    namespace: str = ""
    name: str = ""


class Inventory(Message, frozen=True, kw_only=True, omit_defaults=True, tag="inventory"):
    """Every pod that an executor knows, ended ones that are not forgotten included."""

    incarnation: Incarnation
    epoch: int
    entries: tuple[InventoryEntry, ...] = ()


class ReportAll(
    Command[Inventory], frozen=True, kw_only=True, omit_defaults=True, tag="report_all"
):
    """The reconciler's view is out of step: answer with the inventory, report every pod again."""

    incarnation: Incarnation
    term: Term
