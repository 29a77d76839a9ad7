"""Random pods and reports, and the API server's own rules for a change of a pod's status."""

from datetime import UTC, datetime

from hypothesis import strategies as st
from reconciler_objects import Json
from reconciler_samples import pod_json, report_of

from contract.ids import ContainerName
from contract.messages.report import (
    ContainerReport,
    PodReported,
    Running,
    Terminated,
    Waiting,
)
from pod_reconciler.domain.times import UNKNOWN_TIME

FIELDS = {
    "initContainers": "initContainerStatuses",
    "containers": "containerStatuses",
    "ephemeralContainers": "ephemeralContainerStatuses",
}
NAMES = ("i0", "i1", "i2", "a0", "a1", "e0")
_POLICIES = st.sampled_from(["Always", "OnFailure", "Never"])
_EXITS = st.sampled_from([0, 1, 42, 137])

moments = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    datetime(2030, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)
ends = st.builds(
    Terminated,
    exit_code=_EXITS,
    reason=st.sampled_from(["Completed", "Error", "OOMKilled", "RestartingAllContainers", ""]),
    message=st.sampled_from(["", "é" * 5000]),
    container_id=st.sampled_from(["", "wasmtime://1", "wasmtime://2"]),
    started_at=moments | st.just(UNKNOWN_TIME),
    finished_at=moments | st.just(UNKNOWN_TIME),
)
states = (
    st.builds(Waiting, reason=st.sampled_from(["", "ContainerCreating", "CrashLoopBackOff"]))
    | st.builds(Running, started_at=moments)
    | ends
)
containers = st.builds(
    ContainerReport,
    name=st.sampled_from(NAMES).map(ContainerName),
    state=states,
    last_state=st.none() | ends,
    restart_count=st.integers(0, 3),
    container_id=st.sampled_from(["", "wasmtime://1", "wasmtime://2"]),
    image_id=st.sampled_from(["", "guest@sha256:1"]),
    ready=st.booleans(),
    started=st.booleans(),
)


@st.composite
def specs(draw: st.DrawFn) -> Json:
    """Lists of containers with every kind of restart policy."""

    def container(name: str) -> Json:
        made: Json = {"name": name, "image": "guest:1"}
        if draw(st.booleans()):
            made["restartPolicy"] = draw(_POLICIES)
            if draw(st.booleans()):
                made["restartPolicyRules"] = [draw(_rules())]
        return made

    init = [container(name) for name in NAMES[: draw(st.integers(0, 3))]]
    apps = [container(name) for name in NAMES[3 : 4 + draw(st.integers(0, 1))]]
    spec: Json = {"containers": apps, "restartPolicy": draw(_POLICIES)}
    if init:
        spec["initContainers"] = init
    if draw(st.booleans()):
        spec["ephemeralContainers"] = [{"name": "e0", "image": "guest:1"}]
    return spec


def _rules() -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {
            "action": st.sampled_from(["Restart", "Restart", "RestartAllContainers"]),
            "exitCodes": st.fixed_dictionaries(
                {
                    "operator": st.sampled_from(["In", "NotIn"]),
                    "values": st.lists(_EXITS, min_size=1, max_size=2),
                }
            ),
        }
    )


@st.composite
def reports(draw: st.DrawFn) -> PodReported:
    """Any report at all: nothing in it need make sense."""
    told = draw(st.lists(containers, max_size=6, unique_by=lambda each: each.name))
    reason = draw(st.sampled_from(["", "", "", "DeadlineExceeded", "Terminated", "Evicted"]))
    return report_of(
        "u-1",
        *told,
        stopped=draw(st.booleans()),
        generation=draw(st.integers(0, 3)),
        reason=reason,
        message=f"{reason}!" if reason else "",
        restarting_all=draw(st.booleans()),
    )


@st.composite
def pods(draw: st.DrawFn) -> Json:
    """A pod that is perhaps being deleted, with a condition of somebody else."""
    pod = pod_json(**draw(specs()))
    if draw(st.booleans()):
        pod["metadata"] |= {
            "deletionTimestamp": "2026-01-31T12:00:30Z",
            "deletionGracePeriodSeconds": 30,
        }
    pod["status"]["conditions"] = [
        {"type": "example.com/gate", "status": "True", "lastTransitionTime": None}
    ]
    return pod


def refusals(spec: Json, before: Json, after: Json) -> list[str]:
    """What ValidatePodStatusUpdate of API server 1.36 says against a change of container states."""
    found = []
    for field, statuses in FIELDS.items():
        old = {each["name"]: each["state"] for each in before.get(statuses, ())}
        for status in after.get(statuses, ()):
            ended = old.get(status["name"], {}).get("terminated")
            if ended is None or "terminated" in status["state"]:
                continue
            if field == "ephemeralContainers" or not _may_restart(
                spec, field, status["name"], ended["exitCode"]
            ):
                found.append(f"{statuses} {status['name']}")
    return found


def _may_restart(spec: Json, field: str, name: str, exit_code: int) -> bool:
    both = (*spec.get("initContainers", ()), *spec["containers"])
    if any(_acts(each) == "RestartAllContainers" for each in both):
        return True
    container = next(each for each in spec[field] if each["name"] == name)
    policy = container.get("restartPolicy")
    for rule in container.get("restartPolicyRules", ()) if policy else ():
        codes = rule["exitCodes"]
        if (exit_code in codes["values"]) is (codes["operator"] == "In"):
            return True
    policy = policy or spec["restartPolicy"]
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _acts(container: Json) -> str:
    return "".join(rule["action"] for rule in container.get("restartPolicyRules", ()))
