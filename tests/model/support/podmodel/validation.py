"""What the API server itself refuses in a status, and what no kubelet may take back.

Read from `ValidatePodStatusUpdate` and its friends; written down anew, so that the reconciler's own
reading of the same rules is held against a second one.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final

type Json = dict[str, Any]

LISTS: Final = {
    "initContainerStatuses": "initContainers",
    "containerStatuses": "containers",
    "ephemeralContainerStatuses": "ephemeralContainers",
}
MIRROR: Final = "kubernetes.io/config.mirror"
TERMINAL: Final = ("Succeeded", "Failed")
TWICE: Final = "has another transition time and the same status"
PHASES: Final = ("Pending", "Running", *TERMINAL)


def faults_of(pod: Json, after: Json) -> Iterator[str]:
    """Tell what is wrong with a status that is to replace the pod's."""
    before = pod["status"]
    yield from _transitions(pod["spec"], before, after)
    yield from _form(pod, after)
    yield from _conditions(before, after)
    yield from _promises(before, after)


def may_run_again(spec: Json, container: Json, exit_code: int) -> bool:
    """`ContainerShouldRestart` of the API server."""
    own = container.get("restartPolicy")
    if own is not None:
        for rule in container.get("restartPolicyRules", ()):
            codes = rule["exitCodes"]
            if (exit_code in codes["values"]) is (codes["operator"] == "In"):
                return True
    policy = own or spec["restartPolicy"]
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def all_may_restart(spec: Json) -> bool:
    """`AllContainersCouldRestart`."""
    return any(
        rule["action"] == "RestartAllContainers"
        for container in (*spec.get("initContainers", ()), *spec["containers"])
        for rule in container.get("restartPolicyRules", ())
    )


def _transitions(spec: Json, before: Json, after: Json) -> Iterator[str]:
    for field, kind in LISTS.items():
        if all_may_restart(spec) and kind != "ephemeralContainers":
            continue
        containers = {each["name"]: each for each in spec.get(kind, ())}
        now = {each["name"]: each for each in after.get(field, ())}
        for status in before.get(field, ()):
            name, ended = status["name"], status["state"].get("terminated")
            if ended is None or name not in now or "terminated" in now[name]["state"]:
                continue
            ephemeral = kind == "ephemeralContainers"
            if ephemeral or not may_run_again(spec, containers[name], ended["exitCode"]):
                yield f"{name}: may not be transitioned to non-terminated state"


def _form(pod: Json, after: Json) -> Iterator[str]:
    spec, is_mirror = pod["spec"], MIRROR in pod["metadata"].get("annotations", {})
    if after.get("phase") not in PHASES:
        yield f"{after.get('phase')} is no phase"
    for field, kind in LISTS.items():
        names = [each["name"] for each in after.get(field, ())]
        wanted = [each["name"] for each in spec.get(kind, ())]
        # A status may be older than an ephemeral container. A rejected pod never had containers;
        # only a mirror may tell of those that it had within the same second, in another life.
        may_lack = kind == "ephemeralContainers" or (_was_rejected(after) and is_mirror)
        if _was_rejected(after) and not is_mirror:
            wanted = []
        if sorted(names) != sorted(wanted) and not (may_lack and set(names) <= set(wanted)):
            yield f"{field} tells of {names}, the spec of {wanted}"
        for status in after.get(field, ()):
            yield from _form_of_one(field, status)
    for field in ("podIPs", "hostIPs"):
        for each in after.get(field, ()):
            ip_address(each["ip"])


def _was_rejected(after: Json) -> bool:
    """Whether a node did not take the pod: it never had containers."""
    return str(after.get("message", "")).startswith("Pod was rejected: ")


def _form_of_one(field: str, status: Json) -> Iterator[str]:
    name, state = status["name"], status["state"]
    if len(state) != 1:
        yield f"{name} is in {len(state)} states"
    if not set(status["lastState"]) <= {"terminated"}:
        yield f"{name} was last {set(status['lastState'])}"
    if status["ready"] and "running" not in state and field == "containerStatuses":
        yield f"{name} is ready and does not run"
    if status.get("started") and "running" not in state:
        yield f"{name} has started and does not run"
    if "running" in state and not state["running"].get("startedAt"):
        yield f"{name} runs since no moment"
    if "waiting" in state and not state["waiting"].get("reason"):
        yield f"{name} waits without a reason"


def _conditions(before: Json, after: Json) -> Iterator[str]:
    known = {each["type"]: each for each in before.get("conditions", ())}
    conditions = after.get("conditions", ())
    kinds = [each["type"] for each in conditions]
    if len(set(kinds)) != len(kinds):
        yield f"conditions come twice: {kinds}"
    for each in conditions:
        if each["status"] not in ("True", "False"):
            yield f"{each['type']} is {each['status']}"
        if each.get("observedGeneration", 0) < 0:
            yield f"{each['type']} observed a negative generation"
        if (old := known.get(each["type"])) is not None:
            yield from _changes_of_one(old, each)


def _changes_of_one(old: Json, new: Json) -> Iterator[str]:
    kind, statuses = new["type"], (old["status"], new["status"])
    times = (old["lastTransitionTime"], new["lastTransitionTime"])
    if statuses[0] == statuses[1] and times[0] != times[1]:
        yield f"{kind} {TWICE}"
    if old.get("observedGeneration", 0) > new.get("observedGeneration", 0):
        yield f"{kind} observed an older generation"
    if kind == "Initialized" and statuses == ("True", "False"):
        yield "Initialized was taken back"


def _promises(before: Json, after: Json) -> Iterator[str]:
    """What the API server lets pass and a kubelet keeps all the same."""
    if before["phase"] in TERMINAL and after["phase"] != before["phase"]:
        yield f"{before['phase']} became {after['phase']}"
    if before.get("observedGeneration", 0) > after.get("observedGeneration", 0):
        yield "observedGeneration fell"
    for field in ("startTime", "podIP"):
        if before.get(field) and before[field] != after.get(field):
            yield f"{field} changed from {before[field]} to {after.get(field)}"
    for field in LISTS:
        now = {each["name"]: each for each in after.get(field, ())}
        for old in before.get(field, ()):
            yield from _promises_of_one(old, now.get(old["name"]))


def _promises_of_one(old: Json, new: Json | None) -> Iterator[str]:
    if new is None:
        yield f"the status of {old['name']} is gone"
        return
    if new["restartCount"] < old["restartCount"]:
        yield f"restartCount of {old['name']} fell"
    if old["lastState"] and not (new["lastState"] or "terminated" in new["state"]):
        yield f"lastState of {old['name']} is gone"
    ran_again = "terminated" in old["state"] and "running" in new["state"]
    if ran_again and new["restartCount"] == old["restartCount"]:
        yield f"{old['name']} ran again and restartCount stayed"
