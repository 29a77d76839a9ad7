"""Random small pods, as users write them and the API server fills them in."""

from typing import Any, Final

from hypothesis import strategies as st

from podmodel.validation import Json

GATE: Final = "example.com/gate"
CODES: Final = (0, 1, 42, 137, 143)
_EXEC: Final = {"exec": {"command": ["look"]}}
_POLICIES: Final = ("Always", "OnFailure", "Never")


def _probe(**more: Any) -> Json:
    return {**_EXEC, "periodSeconds": 5, "failureThreshold": 1, **more}


STARTUP: Final = st.sampled_from([_probe(), _probe(failureThreshold=2)])
READINESS: Final = st.just(_probe())
LIVENESS: Final = st.sampled_from([_probe(), _probe(terminationGracePeriodSeconds=3)])
HOOKS: Final = st.sampled_from(
    [
        {"postStart": _EXEC},
        {"preStop": {"sleep": {"seconds": 3}}},
        {"postStart": _EXEC, "preStop": _EXEC},
    ]
)


def _rule(action: str, operator: str) -> Json:
    return {"action": action, "exitCodes": {"operator": operator, "values": [42]}}


RULES: Final = st.sampled_from(
    [
        [],
        [_rule("Restart", "In")],
        [_rule("Restart", "NotIn")],
        [_rule("RestartAllContainers", "In")],
    ]
)


@st.composite
def _own_policy(draw: st.DrawFn) -> Json:
    """A container's own restart policy, with rules, which need one."""
    if draw(st.integers(0, 3)) < 3:
        return {}
    policy, rules = draw(st.sampled_from(_POLICIES)), draw(RULES)
    return {"restartPolicy": policy, **({"restartPolicyRules": rules} if rules else {})}


@st.composite
def _long_running(draw: st.DrawFn, name: str, own: Json) -> Json:
    container: Json = {"name": name, "image": "guest:1", **own}
    wanted = draw(st.integers(0, 15))
    for bit, field, kind in (
        (1, "startupProbe", STARTUP),
        (2, "readinessProbe", READINESS),
        (4, "livenessProbe", LIVENESS),
        (8, "lifecycle", HOOKS),
    ):
        if wanted & bit:
            container[field] = draw(kind)
    return container


@st.composite
def _init(draw: st.DrawFn, name: str) -> Json:
    if draw(st.booleans()):
        rules = draw(RULES)
        own: Json = {"restartPolicy": "Always"} | ({"restartPolicyRules": rules} if rules else {})
        return draw(_long_running(name, own))
    own = draw(_own_policy())
    if own.get("restartPolicy") == "Always":
        own = {}  # that would be a sidecar
    return {"name": name, "image": "guest:1", **own}


@st.composite
def specs(draw: st.DrawFn) -> Json:
    """A pod's spec."""
    inits = draw(st.sampled_from([0, 0, 1, 2]))
    apps = draw(st.sampled_from([1, 1, 2]))
    deadline = draw(st.sampled_from([None, None, None, 20]))
    spec: Json = {
        "restartPolicy": draw(st.sampled_from(_POLICIES)),
        "terminationGracePeriodSeconds": draw(st.sampled_from([30, 5, 0])),
        "containers": [
            draw(_long_running(f"a{number}", draw(_own_policy()))) for number in range(apps)
        ],
    }
    if inits:
        spec["initContainers"] = [draw(_init(f"i{number}")) for number in range(inits)]
    if draw(st.integers(0, 3)) == 3:
        spec["readinessGates"] = [{"conditionType": GATE}]
    if deadline is not None:
        spec["activeDeadlineSeconds"] = deadline
    return spec
