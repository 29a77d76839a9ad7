"""The environment of a container: sources, precedence, and what a kubelet says where one lacks."""

from typing import Any

import msgspec
import pytest
from reconciler_samples import AROUND, pod_json, pod_of

from contract.messages.pod import ContainerPlan, FileVariable, file_variable_mark
from pod_reconciler.domain.material import Content, Kind, Lack, Material, ObjectKey
from pod_reconciler.domain.naming import hostname_of
from pod_reconciler.domain.needs import needs_of
from pod_reconciler.domain.planning import plan_of
from pod_reconciler.domain.surroundings import Allocatable

GONE = {
    Kind.CONFIG_MAP: Lack(problem='configmap "gone" not found', is_absent=True),
    Kind.SECRET: Lack(problem='secret "gone" not found', is_absent=True),
}
FORBIDDEN = Lack(problem='secrets "closed" is forbidden: User "x" cannot get resource "secrets"')
MATERIAL = Material(
    objects={
        ObjectKey(Kind.CONFIG_MAP, "settings"): Content(
            data={"COLOR": b"blue", "size.x": b"7", "REF": b"$(COLOR)"},
            binary={"raw": b"\xff"},
        ),
        ObjectKey(Kind.SECRET, "keys"): Content(data={"COLOR": b"red", "TOKEN": b"t0p"}),
        ObjectKey(Kind.SECRET, "binary"): Content(data={"blob": b"\xff\xfe"}),
        ObjectKey(Kind.CONFIG_MAP, "gone"): GONE[Kind.CONFIG_MAP],
        ObjectKey(Kind.SECRET, "gone"): GONE[Kind.SECRET],
        ObjectKey(Kind.SECRET, "closed"): FORBIDDEN,
    },
    services={"KUBERNETES_SERVICE_HOST": "10.0.0.1", "COLOR": "of a service"},
)
AROUND_MATERIAL = msgspec.structs.replace(
    AROUND,
    material=MATERIAL,
    allocatable=Allocatable(
        cpu_millis=1900, memory_bytes=2**30, ephemeral_storage_bytes=10 * 2**30
    ),
)


def planned(around: Any = AROUND_MATERIAL, **fields: Any) -> ContainerPlan:
    json = pod_json()
    json["spec"]["containers"][0] |= fields
    return plan_of(pod_of(json), around).containers[0]


def variables(**fields: Any) -> dict[str, str]:
    """The container's own variables."""
    plan = planned(**fields)
    assert plan.config_error == ""
    return {
        name: value
        for name, value in plan.env
        if name not in ("HOSTNAME", "KUBERNETES_SERVICE_HOST")
    }


def of_key(kind: str, name: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": "V", "valueFrom": {f"{kind}KeyRef": {"name": name, "key": key, **more}}}


def test_services_give_way_to_env_from_and_that_to_env() -> None:
    sources = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "keys"}}]
    assert planned().env == (
        ("HOSTNAME", "pod-u-1"),
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("COLOR", "of a service"),
    )
    assert variables(envFrom=sources)["COLOR"] == "red"
    assert variables(envFrom=sources[::-1])["COLOR"] == "blue"
    own = [{"name": "COLOR", "value": "$(COLOR)ish"}]
    assert variables(envFrom=sources, env=own)["COLOR"] == "redish"
    assert variables(env=own)["COLOR"] == "of a serviceish"


def test_env_from_takes_every_text_key_with_its_prefix_and_expands_nothing() -> None:
    source = {"prefix": "P_", "configMapRef": {"name": "settings"}}
    assert variables(envFrom=[source]) == {
        "COLOR": "of a service",
        "P_COLOR": "blue",
        "P_size.x": "7",
        "P_REF": "$(COLOR)",
    }


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (of_key("configMap", "settings", "COLOR"), "blue"),
        (of_key("secret", "keys", "TOKEN"), "t0p"),
        (of_key("secret", "keys", "none", optional=True), None),
        (of_key("configMap", "settings", "raw", optional=True), None),
        (of_key("secret", "gone", "k", optional=True), None),
    ],
)
def test_a_key_gives_its_value_and_an_optional_one_that_is_not_there_none(
    variable: dict[str, Any], value: str | None
) -> None:
    assert variables(env=[variable]).get("V") == value


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"env": [of_key("configMap", "gone", "k")]}, 'configmap "gone" not found'),
        ({"env": [of_key("secret", "gone", "k")]}, 'secret "gone" not found'),
        (
            {"env": [of_key("configMap", "settings", "k")]},
            "couldn't find key k in ConfigMap default/settings",
        ),
        ({"env": [of_key("secret", "keys", "k")]}, "couldn't find key k in Secret default/keys"),
        ({"envFrom": [{"configMapRef": {"name": "gone"}}]}, 'configmap "gone" not found'),
        ({"envFrom": [{"secretRef": {"name": "closed", "optional": True}}]}, FORBIDDEN.problem),
        (
            {"env": [of_key("secret", "binary", "blob")]},
            'secret "binary": the value of key blob is not UTF-8, which a variable must be',
        ),
        (
            {"env": [of_key("configMap", "unread", "k", optional=True)]},
            "failed to sync configmap cache: timed out waiting for the condition",
        ),
    ],
)
def test_what_lacks_is_told_in_the_kubelets_words(fields: dict[str, Any], error: str) -> None:
    plan = planned(**fields)
    assert plan.config_error == error
    assert plan.env == (("HOSTNAME", "pod-u-1"),)


def test_without_services_having_been_read_no_container_starts() -> None:
    around = msgspec.structs.replace(AROUND, material=Material(services=None))
    assert planned(around).config_error == (
        "services have not yet been read at least once, cannot construct envvars"
    )


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", "0", "1"),
        ("limits.cpu", "1m", "250"),
        ("limits.memory", "0", str(64 * 2**20)),
        ("limits.memory", "1Mi", "64"),
        ("limits.memory", "1Gi", "1"),
        ("limits.ephemeral-storage", "1Gi", "10"),
        ("requests.cpu", "1m", "100"),
        ("requests.memory", "1", "0"),
        ("requests.ephemeral-storage", "1Ki", "0"),
    ],
)
def test_an_amount_is_counted_in_divisors_and_rounded_up(
    resource: str, divisor: str, value: str
) -> None:
    resources = {"limits": {"cpu": "250m", "memory": "64Mi"}, "requests": {"cpu": "100m"}}
    ref = {"resource": resource, "divisor": divisor}
    env = [{"name": "V", "valueFrom": {"resourceFieldRef": ref}}]
    assert variables(resources=resources, env=env)["V"] == value


def test_without_a_limit_the_nodes_room_is_the_limit() -> None:
    env = [
        {"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": unit}}}
        for name, resource, unit in (("C", "limits.cpu", "1m"), ("M", "limits.memory", "1Mi"))
    ]
    assert variables(env=env) | {"COLOR": ""} == {"C": "1900", "M": "1024", "COLOR": ""}


def test_the_amount_of_another_container_may_be_asked_for() -> None:
    ref = {"resource": "limits.cpu", "divisor": "1m", "containerName": "other"}
    json = pod_json()
    json["spec"]["containers"][0]["env"] = [{"name": "V", "valueFrom": {"resourceFieldRef": ref}}]
    first = plan_of(pod_of(json), AROUND_MATERIAL).containers[0]
    assert first.config_error == "container other not found"
    json["spec"]["containers"].append({"name": "other", "resources": {"limits": {"cpu": "3"}}})
    assert dict(plan_of(pod_of(json), AROUND_MATERIAL).containers[0].env)["V"] == "3000"


def test_the_host_is_named_after_the_pod_unless_it_has_a_name_and_never_in_references() -> None:
    plan = planned(args=["$(HOSTNAME)"], env=[{"name": "V", "value": "$(HOSTNAME)"}])
    assert dict(plan.env)["HOSTNAME"] == "pod-u-1"
    assert dict(plan.env)["V"] == plan.args[0] == "$(HOSTNAME)"
    assert dict(planned(env=[{"name": "HOSTNAME", "value": "own"}]).env)["HOSTNAME"] == "own"
    assert hostname_of(pod_of(pod_json(hostname="web-0")), AROUND_MATERIAL) == "web-0"
    long = pod_json()
    long["metadata"]["name"] = "a" * 62 + "-" + "b" * 40
    assert hostname_of(pod_of(long), AROUND_MATERIAL) == "a" * 62


def test_a_lacking_container_leaves_the_others_alone() -> None:
    json = pod_json()
    json["spec"]["containers"][0]["env"] = [of_key("secret", "gone", "k")]
    json["spec"]["containers"].append({"name": "other"})
    first, second = plan_of(pod_of(json), AROUND_MATERIAL).containers
    assert first.config_error
    assert not second.config_error


def test_a_pod_needs_what_its_variables_name_and_nothing_else() -> None:
    json = pod_json(initContainers=[{"name": "i", "envFrom": [{"secretRef": {"name": "s"}}]}])
    json["spec"]["containers"][0]["env"] = [
        of_key("configMap", "c", "k"),
        of_key("secret", "hidden", "k") | {"value": "given"},
    ]
    assert needs_of(pod_of(json)).objects == {
        ObjectKey(Kind.CONFIG_MAP, "c"),
        ObjectKey(Kind.SECRET, "s"),
    }


def test_nothing_that_is_printed_shows_a_secret() -> None:
    plan = planned(env=[of_key("secret", "keys", "TOKEN")])
    for printed in (repr(MATERIAL), repr(AROUND_MATERIAL), repr(MATERIAL.objects), repr(plan)):
        assert "t0p" not in printed


def test_a_variable_in_a_file_is_left_to_its_node_with_a_mark_wherever_it_is_used() -> None:
    ref = {"volumeName": "v", "path": "env", "key": "K"}
    again = {"name": "V", "valueFrom": {"fileKeyRef": ref | {"key": "L", "optional": True}}}
    plan = planned(
        args=["$(V)"],
        env=[
            {"name": "EARLY", "value": "$(V)"},
            {"name": "V", "valueFrom": {"fileKeyRef": ref}},
            {"name": "LATE", "value": "<$(V)>$$(V)"},
            again,
        ],
    )
    env = dict(plan.env)
    first, second = file_variable_mark(0), file_variable_mark(1)
    assert (env["EARLY"], env["LATE"], env["V"]) == ("$(V)", f"<{first}>$(V)", second)
    assert plan.args == (second,)
    assert plan.file_variables == (
        FileVariable(name="V", volume="v", path="env", key="K"),
        FileVariable(name="V", volume="v", path="env", key="L", optional=True, before=first),
    )
