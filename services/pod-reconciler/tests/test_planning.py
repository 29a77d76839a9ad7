"""From a pod to its plan."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reconciler_samples import AROUND, deleted, pod_json, pod_of

from contract.digests import plan_digest
from contract.messages.pod import Drain, RestartPolicy
from contract.messages.pull import PullPolicy
from pod_reconciler.domain.expansion import expand
from pod_reconciler.domain.planning import MAX_GRACE_S, plan_of
from pod_reconciler.domain.pulling import default_pull_policy
from pod_reconciler.errors import PlanError


def container_plan(**fields: Any) -> Any:
    json = pod_json()
    json["spec"]["containers"][0] |= fields
    json["metadata"] |= {"labels": {"app": "web"}, "annotations": {"example.com/note": "n"}}
    return plan_of(pod_of(json), AROUND).containers[0]


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("$(A)$(B)", "12"),
        ("x$(A)y", "x1y"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$A", "$A"),
        ("$", "$"),
        ("a$", "a$"),
        ("$(A", "$(A"),
        ("$(A$(B)", "$(A$(B)"),
        ("$()", "$()"),
        ("$($$", "$($"),
    ],
)
def test_references_expand_as_the_kubelet_expands_them(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def kubelet_expand(text: str, variables: dict[str, str]) -> str:
    """The kubelet's loop, word for word."""
    out, checkpoint, cursor = "", 0, 0
    while cursor < len(text):
        if text[cursor] == "$" and cursor + 1 < len(text):
            out += text[checkpoint:cursor]
            read, is_variable, advance = _read_name(text[cursor + 1 :])
            out += variables.get(read, f"$({read})") if is_variable else read
            cursor += advance
            checkpoint = cursor + 1
        cursor += 1
    return out + text[checkpoint:]


def _read_name(text: str) -> tuple[str, bool, int]:
    if text[0] == "$":
        return "$", False, 1
    if text[0] == "(":
        end = text.find(")")
        return (text[1:end], True, end + 1) if end > 0 else ("$(", False, 1)
    return f"${text[0]}", False, 1


@given(st.text(alphabet="$()AB x", max_size=20))
def test_expansion_never_differs_from_the_kubelets_loop(text: str) -> None:
    variables = {"A": "1", "B": "$(A)", "": "empty"}
    assert expand(text, variables) == kubelet_expand(text, variables)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metadata.name", "pod-u-1"),
        ("metadata.namespace", "default"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['example.com/note']", "n"),
        ("spec.nodeName", "wasm-1"),
        ("spec.serviceAccountName", "default"),
        ("status.hostIP", "192.0.2.7"),
        ("status.hostIPs", "192.0.2.7"),
        ("status.podIP", "192.0.2.7"),
        ("status.podIPs", "192.0.2.7"),
    ],
)
def test_a_field_reference_becomes_its_value(field: str, value: str) -> None:
    env = [{"name": "V", "valueFrom": {"fieldRef": {"fieldPath": field}}}]
    assert container_plan(env=env).env == (("HOSTNAME", "pod-u-1"), ("V", value))


@pytest.mark.parametrize("field", ["spec.hostname", "metadata.labels", "metadata.name['x']", ""])
def test_a_field_that_has_no_value_names_its_place(field: str) -> None:
    env = [{"name": "V", "valueFrom": {"fieldRef": {"fieldPath": field}}}]
    with pytest.raises(PlanError) as error:
        container_plan(env=env)
    assert error.value.field == "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath"


def test_command_args_and_later_variables_see_earlier_ones() -> None:
    plan = container_plan(
        command=["/run", "$(GREETING)"],
        args=["$(LATE)", "$$(GREETING)", "$(NOBODY)"],
        env=[
            {"name": "EARLY", "value": "$(LATE)"},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "GREETING", "value": "hello $(NAME)"},
            {"name": "LATE", "value": "late"},
            {"name": "EMPTY"},
        ],
    )
    assert plan.command == ("/run", "hello pod-u-1")
    assert plan.args == ("late", "$(GREETING)", "$(NOBODY)")
    assert dict(plan.env)["EARLY"] == "$(LATE)"
    assert dict(plan.env)["EMPTY"] == ""


def test_a_later_variable_of_the_same_name_wins() -> None:
    plan = container_plan(env=[{"name": "V", "value": "1"}, {"name": "V", "value": "$(V)2"}])
    assert dict(plan.env)["V"] == "12"


@pytest.mark.parametrize(
    ("limit", "in_bytes"), [("64Mi", 64 * 2**20), ("1e6", 10**6), ("1500m", 2), (7, 7)]
)
def test_a_memory_limit_is_counted_in_bytes(limit: object, in_bytes: int) -> None:
    plan = container_plan(resources={"limits": {"memory": limit}})
    assert plan.memory_limit_bytes == in_bytes


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("guest", PullPolicy.ALWAYS),
        ("host:5000/guest", PullPolicy.ALWAYS),
        ("host:5000/guest:latest", PullPolicy.ALWAYS),
        ("host:5000/guest:1", PullPolicy.IF_NOT_PRESENT),
        ("guest@sha256:00", PullPolicy.IF_NOT_PRESENT),
        ("file:hello.wat", PullPolicy.IF_NOT_PRESENT),
    ],
)
def test_a_pull_policy_that_nobody_gave_follows_from_the_tag(
    image: str, policy: PullPolicy
) -> None:
    assert default_pull_policy(image) is policy


def test_the_pods_own_fields_reach_the_plan() -> None:
    json = pod_json(restartPolicy="OnFailure", terminationGracePeriodSeconds=7)
    json["metadata"]["annotations"] = {"wasmlet.dev/drain": "stdin-eof"}
    plan = plan_of(pod_of(json), AROUND)
    assert (plan.uid, plan.namespace, plan.name) == ("u-1", "default", "pod-u-1")
    assert plan.restart_policy is RestartPolicy.ON_FAILURE
    assert plan.termination_grace_s == 7
    assert plan.drain is Drain.STDIN_EOF
    assert plan.generation == 1
    assert plan.deletion is None


def test_the_working_directory_reaches_the_plan() -> None:
    assert container_plan(workingDir="/work").working_dir == "/work"
    assert container_plan().working_dir == ""


def test_annotation_names_the_toolbox() -> None:
    json = pod_json()
    assert plan_of(pod_of(json), AROUND).toolbox == ""
    json["metadata"]["annotations"] = {"wasmlet.dev/toolbox": "registry.example/toolbox:v1"}
    assert plan_of(pod_of(json), AROUND).toolbox == "registry.example/toolbox:v1"


def test_an_unknown_way_to_drain_is_refused_by_name() -> None:
    json = pod_json()
    json["metadata"]["annotations"] = {"wasmlet.dev/drain": "politely"}
    with pytest.raises(PlanError, match="'politely' is not one of none, stdin-eof, file"):
        plan_of(pod_of(json), AROUND)


def test_a_deletion_says_when_it_was_asked_for_and_how_long_it_may_take() -> None:
    plan = plan_of(pod_of(deleted(pod_json(), grace_s=10)), AROUND)
    assert plan.deletion is not None
    assert plan.deletion.grace_s == 10
    assert plan.deletion.requested_at.isoformat() == "2026-01-31T12:00:20+00:00"


@pytest.mark.parametrize("grace_s", [10**11, 2**63 - 1])
def test_a_grace_beyond_all_reckoning_is_a_long_one(grace_s: int) -> None:
    plan = plan_of(pod_of(deleted(pod_json(), grace_s=grace_s)), AROUND)
    assert plan.deletion is not None
    assert plan.deletion.grace_s == MAX_GRACE_S


def test_planning_twice_gives_the_same_digest_and_another_content_another() -> None:
    pod = pod_of(pod_json())
    once, again = plan_of(pod, AROUND), plan_of(pod_of(pod_json()), AROUND)
    assert plan_digest(once) == plan_digest(again)
    other = msgspec.structs.replace(once, generation=2)
    assert plan_digest(once) != plan_digest(other)


def test_the_address_that_the_api_shows_already_stays_in_the_plan() -> None:
    json = pod_json()
    json["status"]["podIP"] = "192.0.2.99"
    env = [{"name": "V", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    json["spec"]["containers"][0]["env"] = env
    assert dict(plan_of(pod_of(json), AROUND).containers[0].env)["V"] == "192.0.2.99"
