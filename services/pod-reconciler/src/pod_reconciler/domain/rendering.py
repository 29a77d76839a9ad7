"""From a node's report to the PodStatus that the API should hold.

Rendering what was just written, from the same report, changes nothing: that is what ends a write
loop. A terminal phase is withheld until nothing can run any more, and never taken back.
"""

from datetime import datetime
from typing import Final

from contract.messages.report import PodReported
from kubekit.patches import Ownership
from pod_reconciler.domain.conditions import Situation, conditions_of
from pod_reconciler.domain.container_status import as_lost, container_statuses
from pod_reconciler.domain.phase import Phase, phase_of
from pod_reconciler.domain.planning import Surroundings, pod_ip
from pod_reconciler.domain.pod import Json, Pod
from pod_reconciler.domain.times import api_time

OWNERSHIP: Final = Ownership(fields=frozenset({"reason", "message"}))
"""What our status may clear: reason and message belong to the phase."""


def render(pod: Pod, report: PodReported, around: Surroundings, now: datetime) -> Json:
    """Return the whole status, foreign conditions included; `qosClass` and others' fields left
    out, which means untouched.
    """
    statuses = container_statuses(pod, report)
    phase = phase_of(statuses, pod.spec.restart_policy, stopped=report.stopped)
    if report.stopped and not phase.is_terminal:
        statuses = [as_lost(status) for status in statuses]
        phase = Phase.FAILED
    if pod.is_terminal:
        phase = Phase(pod.phase)
    generation = _generation(pod, report)
    situation = Situation(
        pod=pod, statuses=statuses, phase=phase, stopped=report.stopped, generation=generation
    )
    return {
        **_phase_fields(pod, phase, stopped=report.stopped),
        **({"observedGeneration": generation} if generation else {}),
        "conditions": conditions_of(situation, now),
        **_addresses(pod, around),
        "startTime": pod.status.get("startTime") or api_time(report.started_at),
        "containerStatuses": statuses,
    }


def render_refused(pod: Pod, reason: str, message: str, now: datetime) -> Json:
    """The status of a pod that admission turned away. It never ran, so it has no containers."""
    generation = pod.metadata.generation
    return {
        "phase": Phase.FAILED.value,
        "reason": reason,
        "message": f"Pod was rejected: {message}",
        "startTime": pod.status.get("startTime") or api_time(now),
        **({"observedGeneration": generation} if generation else {}),
    }


def _generation(pod: Pod, report: PodReported) -> int:
    """The spec that was acted on; the API server refuses nothing here, but it must not shrink."""
    return max(report.generation, int(pod.status.get("observedGeneration", 0)))


def _phase_fields(pod: Pod, phase: Phase, *, stopped: bool) -> Json:
    """The phase, with the reason and message that were given for it."""
    if phase.is_terminal and not stopped and not pod.is_terminal:
        phase = Phase(pod.phase) if pod.phase in Phase else Phase.PENDING
    fields: Json = {"phase": phase.value}
    if phase == pod.phase:
        fields |= {key: pod.status[key] for key in ("reason", "message") if pod.status.get(key)}
    return fields


def _addresses(pod: Pod, around: Surroundings) -> Json:
    address = pod_ip(pod, around)
    return {
        "hostIP": around.host_ip,
        "hostIPs": [{"ip": around.host_ip}],
        "podIP": address,
        "podIPs": pod.status.get("podIPs") or [{"ip": address}],
    }
