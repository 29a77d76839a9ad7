"""From a node's report to the PodStatus that the API should hold.

Rendering what was just written, from the same report, changes nothing: that is what ends a write
loop. A terminal phase is withheld until nothing can run any more, and never taken back.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from contract.messages.report import PodReported
from kubekit.patches import Ownership
from pod_reconciler.domain.conditions import Situation, conditions_of
from pod_reconciler.domain.container_status import container_statuses
from pod_reconciler.domain.phase import Phase, phase_of
from pod_reconciler.domain.pod import Json, Pod
from pod_reconciler.domain.surroundings import Surroundings, pod_ip
from pod_reconciler.domain.terminating import terminated
from pod_reconciler.domain.times import api_time

OWNERSHIP: Final = Ownership(fields=frozenset({"reason", "message"}))
"""What our status may clear: reason and message belong to the phase."""
DISRUPTIONS: Final = frozenset({"Terminated"})
"""The reasons of ends that are the node's doing, so that controllers may forgive them.

A pod that is evicted here has more in an emptyDir than it allowed itself: that is its own doing, as
under a kubelet, and a Job that forgave it would repeat it for ever.
"""
REFUSALS: Final = frozenset({"NodeShutdown"})
"""The reasons for which a node does not take a pod: nothing of it ever ran."""


def render(
    pod: Pod,
    report: PodReported,
    around: Surroundings,
    now: datetime,
    *,
    withheld: Mapping[str, str] | None = None,
) -> Json:
    """Return the whole status, foreign conditions included; `qosClass` and others' fields left
    out, which means untouched.
    """
    if report.stopped and report.reason in REFUSALS:
        return render_refused(pod, report.reason, report.message, now)
    statuses = container_statuses(pod, report, withheld)
    stopped, restarting = report.stopped, report.restarting_all
    phase = phase_of(pod.spec, statuses, stopped=stopped, restarting=restarting)
    if stopped:
        statuses = terminated(pod.spec, statuses)
    if report.reason or (stopped and not phase.is_terminal):
        phase = Phase.FAILED
    if pod.is_terminal:
        phase = Phase(pod.phase)
    situation = Situation(
        pod=pod,
        statuses=statuses,
        phase=phase,
        stopped=stopped,
        generation=_generation(pod, report),
        restarting_all=restarting,
        awaits_volumes=report.awaits_volumes,
        disruption=_disruption(pod, report),
    )
    return {
        **_phase_fields(pod, report, phase),
        **({"observedGeneration": situation.generation} if situation.generation else {}),
        "conditions": conditions_of(situation, now),
        **_addresses(pod, around),
        "startTime": pod.status.get("startTime") or api_time(report.started_at),
        **statuses.fields(),
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


def _disruption(pod: Pod, report: PodReported) -> str | None:
    """Told once, with the phase that the disruption brings about."""
    is_new = report.stopped and not pod.is_terminal
    return report.message if is_new and report.reason in DISRUPTIONS else None


def _phase_fields(pod: Pod, report: PodReported, phase: Phase) -> Json:
    """The phase, with the reason and message that were given for it."""
    given: Json = {"reason": report.reason, "message": report.message}
    if phase.is_terminal and not report.stopped and not pod.is_terminal:
        phase = Phase(pod.phase) if pod.phase in Phase else Phase.PENDING
        given = {}
    if phase == pod.phase:
        given = pod.status
    kept = {key: given[key] for key in ("reason", "message") if given.get(key)}
    return {"phase": phase.value, **kept}


def _addresses(pod: Pod, around: Surroundings) -> Json:
    address = pod_ip(pod, around)
    return {
        "hostIP": around.host_ip,
        "hostIPs": [{"ip": around.host_ip}],
        "podIP": address,
        "podIPs": pod.status.get("podIPs") or [{"ip": address}],
    }
