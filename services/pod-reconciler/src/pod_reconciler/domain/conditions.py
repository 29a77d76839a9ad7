"""The five conditions that a kubelet owns, in its order and words.

Others' conditions pass through untouched. A transition time changes only when the status does.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from pod_reconciler.domain.phase import Phase
from pod_reconciler.domain.pod import Json, Pod
from pod_reconciler.domain.times import api_time

OWNED: Final = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)
_TERMINAL_REASONS: Final = {Phase.SUCCEEDED: "PodCompleted", Phase.FAILED: "PodFailed"}


class Verdict(msgspec.Struct, frozen=True):
    """A condition's status with what explains it."""

    true: bool
    reason: str = ""
    message: str = ""


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What conditions follow from."""

    pod: Pod
    statuses: Sequence[Json]
    phase: Phase
    stopped: bool
    generation: int


def conditions_of(situation: Situation, now: datetime) -> list[Json]:
    """All conditions of the status: others' first, as they are, then the owned ones."""
    before = situation.pod.status.get("conditions") or ()
    known = {condition["type"]: condition for condition in before}
    others = [condition for condition in before if condition["type"] not in OWNED]
    containers_ready = _containers_ready(situation)
    verdicts = (
        Verdict(not situation.stopped),
        Verdict(true=True, reason="PodCompleted" if situation.phase is Phase.SUCCEEDED else ""),
        _ready(situation, containers_ready, others),
        containers_ready,
        Verdict(true=True),
    )
    generation, moment = situation.generation, api_time(now)
    return others + [
        _condition(kind, verdict, known.get(kind), generation, moment)
        for kind, verdict in zip(OWNED, verdicts, strict=True)
    ]


def _containers_ready(situation: Situation) -> Verdict:
    if situation.phase.is_terminal:
        return Verdict(true=False, reason=_TERMINAL_REASONS[situation.phase])
    ready = {status["name"] for status in situation.statuses if status["ready"]}
    unready = [each.name for each in situation.pod.spec.containers if each.name not in ready]
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        return Verdict(true=False, reason="ContainersNotReady", message=message)
    return Verdict(true=True)


def _ready(situation: Situation, containers: Verdict, others: Sequence[Json]) -> Verdict:
    if not containers.true:
        return containers
    given = {condition["type"]: condition["status"] for condition in others}
    problems = [
        _gate_problem(gate.condition_type, given.get(gate.condition_type))
        for gate in situation.pod.spec.readiness_gates
        if given.get(gate.condition_type) != "True"
    ]
    if problems:
        return Verdict(true=False, reason="ReadinessGatesNotReady", message=", ".join(problems))
    return Verdict(true=True)


def _gate_problem(gate: str, status: str | None) -> str:
    if status is None:
        return f'corresponding condition of pod readiness gate "{gate}" does not exist.'
    return f'the status of pod readiness gate "{gate}" is not "True", but {status}'


def _condition(
    kind: str, verdict: Verdict, before: Json | None, generation: int, moment: str
) -> Json:
    status = "True" if verdict.true else "False"
    kept = before is not None and before.get("status") == status
    condition: Json = {
        "type": kind,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": before["lastTransitionTime"] if kept and before else moment,
    }
    if generation:
        condition["observedGeneration"] = generation
    if verdict.reason:
        condition["reason"] = verdict.reason
    if verdict.message:
        condition["message"] = verdict.message
    return condition
