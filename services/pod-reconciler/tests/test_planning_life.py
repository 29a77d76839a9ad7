"""What a plan says of a container's life: its role, its probes and hooks, its rules, its end."""

from typing import Any

import msgspec
import pytest
from reconciler_samples import AROUND, pod_json, pod_of

from contract.codec import encode
from contract.digests import plan_digest
from contract.messages.health import Exec, Grpc, HttpGet, Probe, Sleep, TcpSocket
from contract.messages.pod import (
    ContainerPlan,
    ContainerRole,
    MessagePolicy,
    PodPlan,
    RestartPolicy,
    RestartRule,
    RuleAction,
)
from pod_reconciler.domain.handlers import UNKNOWN_PORT
from pod_reconciler.domain.planning import plan_of
from pod_reconciler.errors import PlanError

PORTS = [{"name": "web", "containerPort": 8080}, {"name": "admin", "containerPort": 9090}]


def container_plan(**fields: Any) -> ContainerPlan:
    json = pod_json()
    json["spec"]["containers"][0] |= fields
    return plan_of(pod_of(json), AROUND).containers[0]


def probe(**fields: Any) -> Probe:
    found = container_plan(ports=PORTS, livenessProbe=fields).liveness
    assert found is not None
    return found


def test_containers_stand_in_the_order_in_which_they_start_with_their_roles() -> None:
    pod = pod_json(
        initContainers=[
            {"name": "prepare", "image": "i"},
            {"name": "proxy", "image": "i", "restartPolicy": "Always"},
            {"name": "retry", "image": "i", "restartPolicy": "OnFailure"},
        ],
        ephemeralContainers=[{"name": "debug", "image": "i"}],
    )
    plan = plan_of(pod_of(pod), AROUND)
    assert [(each.name, each.role) for each in plan.containers] == [
        ("prepare", ContainerRole.INIT),
        ("proxy", ContainerRole.SIDECAR),
        ("retry", ContainerRole.INIT),
        ("main", ContainerRole.APP),
        ("debug", ContainerRole.EPHEMERAL),
    ]
    assert [each.restart_policy for each in plan.containers] == [
        None,
        RestartPolicy.ALWAYS,
        RestartPolicy.ON_FAILURE,
        None,
        None,
    ]


def test_the_pods_address_and_deadline_reach_the_plan() -> None:
    json = pod_json(activeDeadlineSeconds=5)
    plan = plan_of(pod_of(json), AROUND)
    assert (plan.pod_ip, plan.active_deadline_s) == ("192.0.2.7", 5.0)
    json["status"]["podIP"] = "192.0.2.99"
    assert plan_of(pod_of(json), AROUND).pod_ip == "192.0.2.99"


def test_each_probe_has_its_place_and_every_number() -> None:
    plan = container_plan(
        startupProbe={"tcpSocket": {"port": 1}},
        readinessProbe={"grpc": {"port": 2, "service": "s"}},
        livenessProbe={
            "exec": {"command": ["check"]},
            "initialDelaySeconds": 1,
            "periodSeconds": 2,
            "timeoutSeconds": 3,
            "successThreshold": 1,
            "failureThreshold": 5,
            "terminationGracePeriodSeconds": 6,
        },
    )
    assert plan.startup == Probe(action=TcpSocket(port=1))
    assert plan.readiness == Probe(action=Grpc(port=2, service="s"))
    assert plan.liveness == Probe(
        action=Exec(command=("check",)),
        initial_delay_s=1.0,
        period_s=2.0,
        timeout_s=3.0,
        failure_threshold=5,
        termination_grace_s=6.0,
    )


def test_numbers_that_nobody_gave_are_kubernetes_defaults() -> None:
    plain = probe(tcpSocket={"port": 1})
    assert (plain.initial_delay_s, plain.period_s, plain.timeout_s) == (0.0, 10.0, 1.0)
    assert (plain.success_threshold, plain.failure_threshold) == (1, 3)
    assert plain.termination_grace_s is None
    assert probe(tcpSocket={"port": 1}, periodSeconds=0, failureThreshold=0) == plain


@pytest.mark.parametrize(
    ("port", "number"),
    [
        (80, 80),
        ("web", 8080),
        ("admin", 9090),
        ("8081", 8081),
        ("nobody", UNKNOWN_PORT),
        ("", UNKNOWN_PORT),
    ],
)
def test_a_named_port_is_one_of_the_containers_own(port: int | str, number: int) -> None:
    assert probe(tcpSocket={"port": port}).action == TcpSocket(port=number)
    assert probe(httpGet={"port": port}).action == HttpGet(port=number)


def test_a_port_of_another_container_is_not_found() -> None:
    json = pod_json()
    json["spec"]["containers"][0]["livenessProbe"] = {"tcpSocket": {"port": "web"}}
    json["spec"]["containers"].append({"name": "other", "image": "i", "ports": PORTS})
    (main, _) = plan_of(pod_of(json), AROUND).containers
    assert main.liveness == Probe(action=TcpSocket(port=UNKNOWN_PORT))


def test_a_get_has_scheme_host_and_headers_in_order_and_its_path_as_written() -> None:
    headers = [{"name": "Host", "value": "a"}, {"name": "X", "value": "1"}, {"name": "X"}]
    action = {"port": "web", "path": "ready?a=b", "scheme": "HTTPS", "host": "h"}
    assert probe(httpGet=action | {"httpHeaders": headers}).action == HttpGet(
        port=8080,
        path="ready?a=b",
        host="h",
        scheme="HTTPS",
        headers=(("Host", "a"), ("X", "1"), ("X", "")),
    )
    assert probe(httpGet={"port": 1}).action == HttpGet(port=1, path="/", scheme="HTTP")


def test_a_probes_command_sees_static_values_alone_and_a_hooks_command_none() -> None:
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)2"},
        {"name": "REF", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    command = ["$(A)", "$(B)", "[$(REF)]", "$(NOBODY)", "$$(A)"]
    action = {"exec": {"command": command}}
    plan = container_plan(env=env, readinessProbe=action, lifecycle={"preStop": action})
    # The kubelet's way, word for word: it takes env as it is written down.
    expanded = ("1", "$(A)2", "[]", "$(NOBODY)", "$(A)")
    assert plan.readiness == Probe(action=Exec(command=expanded))
    assert plan.pre_stop == Exec(command=tuple(command))


@pytest.mark.parametrize(
    ("handler", "hook"),
    [
        ({"exec": {"command": ["x"]}}, Exec(command=("x",))),
        ({"httpGet": {"port": "web", "path": "/bye"}}, HttpGet(port=8080, path="/bye")),
        ({"sleep": {"seconds": 3}}, Sleep(seconds=3.0)),
        ({"tcpSocket": {"port": 1}}, TcpSocket(port=1)),
    ],
)
def test_a_hook_is_planned_at_its_end_of_the_life(handler: Any, hook: object) -> None:
    plan = container_plan(ports=PORTS, lifecycle={"postStart": handler})
    assert (plan.post_start, plan.pre_stop) == (hook, None)
    plan = container_plan(ports=PORTS, lifecycle={"preStop": handler})
    assert (plan.post_start, plan.pre_stop) == (None, hook)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"livenessProbe": {"periodSeconds": 3}}, "livenessProbe"),
        ({"startupProbe": {}}, "startupProbe"),
        ({"lifecycle": {"postStart": {}}}, "lifecycle.postStart"),
    ],
)
def test_what_does_nothing_is_refused_by_name(fields: Any, path: str) -> None:
    with pytest.raises(PlanError, match="must specify a handler type") as error:
        container_plan(**fields)
    assert error.value.field == f"spec.containers[0].{path}"


def test_rules_are_planned_in_order() -> None:
    plan = container_plan(
        restartPolicy="Never",
        restartPolicyRules=[
            {"action": "Restart", "exitCodes": {"operator": "In", "values": [42, 43]}},
            {"action": "RestartAllContainers", "exitCodes": {"operator": "NotIn", "values": [0]}},
        ],
    )
    assert plan.restart_policy is RestartPolicy.NEVER
    assert plan.restart_rules == (
        RestartRule(action=RuleAction.RESTART, exit_codes=(42, 43)),
        RestartRule(action=RuleAction.RESTART_ALL, exit_codes=(0,), negated=True),
    )


def test_the_last_words_have_their_place_and_policy() -> None:
    plan = container_plan(terminationMessagePath="/m", terminationMessagePolicy="File")
    assert (plan.message_path, plan.message_policy) == ("/m", MessagePolicy.FILE)
    fallback = container_plan(terminationMessagePolicy="FallbackToLogsOnError")
    assert fallback.message_policy is MessagePolicy.FALLBACK_TO_LOGS
    assert fallback.message_path == "/dev/termination-log"
    with pytest.raises(PlanError, match="terminationMessagePolicy"):
        container_plan(terminationMessagePolicy="Shout")


def test_the_wire_leaves_the_digest_of_a_whole_plan_as_it_is() -> None:
    # An executor checks the digest of what it decoded: 10 and 10.0 are not the same to it.
    pod = pod_json(
        initContainers=[{"name": "i", "image": "i", "startupProbe": {"tcpSocket": {"port": 1}}}],
        activeDeadlineSeconds=5,
    )
    pod["spec"]["containers"][0] |= {
        "livenessProbe": {"grpc": {"port": 1}, "periodSeconds": 3, "timeoutSeconds": 2},
        "lifecycle": {"preStop": {"sleep": {"seconds": 4}}},
        "terminationMessagePath": "/m",
    }
    plan = plan_of(pod_of(pod), AROUND)
    assert plan_digest(msgspec.json.decode(encode(plan), type=PodPlan)) == plan_digest(plan)
