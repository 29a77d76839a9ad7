"""The conditions that a kubelet owns, in its order and words, and the one that it shares.

Others' conditions pass through untouched. A transition time changes only when the status does.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from pod_reconciler.domain.container import Container
from pod_reconciler.domain.container_status import Statuses
from pod_reconciler.domain.phase import Phase
from pod_reconciler.domain.pod import Json, Pod
from pod_reconciler.domain.restarting import could_restart_all
from pod_reconciler.domain.times import api_time

OWNED: Final = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    "AllContainersRestarting",
)
DISRUPTION_TARGET: Final = "DisruptionTarget"
_TERMINAL_REASONS: Final = {Phase.SUCCEEDED: "PodCompleted", Phase.FAILED: "PodFailed"}


class Verdict(msgspec.Struct, frozen=True):
    """A condition's status with what explains it."""

    true: bool
    reason: str = ""
    message: str = ""


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What conditions follow from."""

    pod: Pod
    statuses: Statuses
    phase: Phase
    stopped: bool
    generation: int
    restarting_all: bool = False
    awaits_volumes: bool = False
    disruption: str | None = None
    """Why this node ends the pod now, where that is no doing of the pod's own."""


def conditions_of(situation: Situation, now: datetime) -> list[Json]:
    """All conditions of the status: others' first, as they are, then the owned ones."""
    pod, moment = situation.pod, api_time(now)
    known = {condition["type"]: condition for condition in pod.status.get("conditions") or ()}
    others = {kind: condition for kind, condition in known.items() if kind not in OWNED}
    if situation.disruption is not None:
        verdict = Verdict(true=True, reason="TerminationByKubelet", message=situation.disruption)
        others[DISRUPTION_TARGET] = _condition(
            DISRUPTION_TARGET,
            verdict,
            known.get(DISRUPTION_TARGET),
            situation.generation,
            moment,
        )
    verdicts = _owned(situation, others.values())
    owned = [
        _condition(kind, verdict, known.get(kind), _generation_of(kind, situation), moment)
        for kind, verdict in verdicts.items()
    ]
    return [*others.values(), *owned]


def with_times_of(attempted: Json | None, rendered: Json, shown: Json) -> Json:
    """Return a status with the times of an attempt to write it whose outcome nobody knows.

    The API may show them already, where the watch lags. What changed twice between two attempts
    counts from its last change.
    """
    if attempted is None:
        return rendered
    before = {each["type"]: each for each in shown.get("conditions") or ()}
    told = {each["type"]: each for each in attempted.get("conditions") or ()}
    status = dict(rendered)
    if not shown.get("startTime") and "startTime" in attempted:
        status["startTime"] = attempted["startTime"]
    if "conditions" in rendered:
        status["conditions"] = [
            _with_time_of(told.get(each["type"]), each, before.get(each["type"]))
            for each in rendered["conditions"]
        ]
    return status


def with_others_of(shown: Json, told: Json) -> Json:
    """Return a status that was told once with others' conditions as they are now."""
    known = {each["type"]: each for each in shown.get("conditions") or ()}
    conditions: list[Json] = []
    for each in told.get("conditions") or ():
        if each["type"] in OWNED or each["type"] == DISRUPTION_TARGET:
            conditions.append(each)
        elif each["type"] in known:
            conditions.append(known[each["type"]])
    return {**told, "conditions": conditions}


def _with_time_of(told: Json | None, condition: Json, before: Json | None) -> Json:
    is_news = before is None or before["status"] != condition["status"]
    if told is None or not is_news or told["status"] != condition["status"]:
        return condition
    return condition | {"lastTransitionTime": told["lastTransitionTime"]}


def _owned(situation: Situation, others: Iterable[Json]) -> dict[str, Verdict]:
    containers_ready = _containers_ready(situation)
    # What a kubelet calls the sandbox is there as soon as the volumes are.
    ready_to_start = Verdict(not (situation.stopped or situation.awaits_volumes))
    initialized = _initialized(situation)
    # What a readiness gate may name, as the kubelet happens to order its work.
    given = {condition["type"]: str(condition["status"]) for condition in others}
    given |= {"PodReadyToStartContainers": _word(ready_to_start), "Initialized": _word(initialized)}
    verdicts = (
        ready_to_start,
        initialized,
        _ready(situation.pod, containers_ready, given),
        containers_ready,
        Verdict(true=True),
        _restarting_all(situation),
    )
    return {
        kind: verdict
        for kind, verdict in zip(OWNED, verdicts, strict=True)
        if kind != "AllContainersRestarting" or could_restart_all(situation.pod.spec)
    }


def _initialized(situation: Situation) -> Verdict:
    """Once true it stays so: whatever begins anew later, the pod has been initialized."""
    if situation.phase is Phase.SUCCEEDED:
        return Verdict(true=True, reason="PodCompleted")
    incomplete = [
        status["name"]
        for container, status in _init_in_order(situation)
        if not (status.get("started") if container.is_sidecar else status["ready"])
    ]
    before = situation.pod.status.get("conditions") or ()
    was_true = any(
        each["type"] == "Initialized" and each.get("status") == "True" for each in before
    )
    app_began = any("waiting" not in status["state"] for status in situation.statuses.app)
    if not incomplete or was_true or app_began:
        return Verdict(true=True)
    message = f"containers with incomplete status: [{' '.join(incomplete)}]"
    return Verdict(true=False, reason="ContainersNotInitialized", message=message)


def _containers_ready(situation: Situation) -> Verdict:
    if situation.phase.is_terminal:
        return Verdict(true=False, reason=_TERMINAL_REASONS[situation.phase])
    sidecars = [
        container.name
        for container, status in _init_in_order(situation)
        if container.is_sidecar and not status["ready"]
    ]
    ready = {status["name"] for status in situation.statuses.app if status["ready"]}
    apps = [each.name for each in situation.pod.spec.containers if each.name not in ready]
    if unready := [*sidecars, *apps]:
        message = f"containers with unready status: [{' '.join(unready)}]"
        return Verdict(true=False, reason="ContainersNotReady", message=message)
    return Verdict(true=True)


def _ready(pod: Pod, containers: Verdict, given: dict[str, str]) -> Verdict:
    if not containers.true:
        return containers
    problems = [
        _gate_problem(gate.condition_type, given.get(gate.condition_type))
        for gate in pod.spec.readiness_gates
        if given.get(gate.condition_type) != "True"
    ]
    if problems:
        return Verdict(true=False, reason="ReadinessGatesNotReady", message=", ".join(problems))
    return Verdict(true=True)


def _gate_problem(gate: str, status: str | None) -> str:
    if status is None:
        return f'corresponding condition of pod readiness gate "{gate}" does not exist.'
    return f'the status of pod readiness gate "{gate}" is not "True", but {status}'


def _restarting_all(situation: Situation) -> Verdict:
    if situation.phase.is_terminal:
        return Verdict(true=False, reason=_TERMINAL_REASONS[situation.phase])
    if not situation.restarting_all:
        return Verdict(true=False)
    message = "container exited with restart policy rule"
    return Verdict(true=True, reason="RestartAllContainersStarted", message=message)


def _init_in_order(situation: Situation) -> Sequence[tuple[Container, Json]]:
    return list(zip(situation.pod.spec.init_containers, situation.statuses.init, strict=True))


def _generation_of(kind: str, situation: Situation) -> int:
    """The kubelet gives this one condition none."""
    return 0 if kind == "AllContainersRestarting" else situation.generation


def _word(verdict: Verdict) -> str:
    return "True" if verdict.true else "False"


def _condition(
    kind: str, verdict: Verdict, before: Json | None, generation: int, moment: str
) -> Json:
    status = _word(verdict)
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
