"""The table as a whole: complete, without contradictions, and readable."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.aio.client import models

from podspec.fields import TABLE, TREE, grow, segments
from podspec.rows import Row, Verdict, honoured, refused

# Where a model's fields lie in a pod, and in each container of it.
POD_MODELS = (
    ("V1ObjectMeta", "metadata"),
    ("V1PodSpec", "spec"),
    ("V1PodSecurityContext", "spec.securityContext"),
    ("V1PodOS", "spec.os"),
    ("V1PodReadinessGate", "spec.readinessGates[]"),
    ("V1Volume", "spec.volumes[]"),
    ("V1ConfigMapVolumeSource", "spec.volumes[].configMap"),
    ("V1KeyToPath", "spec.volumes[].configMap.items[]"),
    ("V1SecretVolumeSource", "spec.volumes[].secret"),
    ("V1KeyToPath", "spec.volumes[].secret.items[]"),
    ("V1DownwardAPIVolumeSource", "spec.volumes[].downwardAPI"),
    ("V1DownwardAPIVolumeFile", "spec.volumes[].downwardAPI.items[]"),
    ("V1ObjectFieldSelector", "spec.volumes[].downwardAPI.items[].fieldRef"),
    ("V1ResourceFieldSelector", "spec.volumes[].downwardAPI.items[].resourceFieldRef"),
    ("V1ProjectedVolumeSource", "spec.volumes[].projected"),
    ("V1VolumeProjection", "spec.volumes[].projected.sources[]"),
    ("V1ConfigMapProjection", "spec.volumes[].projected.sources[].configMap"),
    ("V1KeyToPath", "spec.volumes[].projected.sources[].configMap.items[]"),
    ("V1SecretProjection", "spec.volumes[].projected.sources[].secret"),
    ("V1KeyToPath", "spec.volumes[].projected.sources[].secret.items[]"),
    ("V1DownwardAPIProjection", "spec.volumes[].projected.sources[].downwardAPI"),
    ("V1DownwardAPIVolumeFile", "spec.volumes[].projected.sources[].downwardAPI.items[]"),
    ("V1ObjectFieldSelector", "spec.volumes[].projected.sources[].downwardAPI.items[].fieldRef"),
    (
        "V1ResourceFieldSelector",
        "spec.volumes[].projected.sources[].downwardAPI.items[].resourceFieldRef",
    ),
    (
        "V1ServiceAccountTokenProjection",
        "spec.volumes[].projected.sources[].serviceAccountToken",
    ),
    ("V1EmptyDirVolumeSource", "spec.volumes[].emptyDir"),
    ("V1HostPathVolumeSource", "spec.volumes[].hostPath"),
    (
        "V1PersistentVolumeClaimVolumeSource",
        "spec.volumes[].persistentVolumeClaim",
    ),
    ("V1Container", "spec.initContainers[]"),
    ("V1Container", "spec.containers[]"),
    ("V1EphemeralContainer", "spec.ephemeralContainers[]"),
)
CONTAINER_MODELS = (
    ("V1ContainerPort", "ports[]"),
    ("V1ContainerResizePolicy", "resizePolicy[]"),
    ("V1ContainerRestartRule", "restartPolicyRules[]"),
    ("V1ContainerRestartRuleOnExitCodes", "restartPolicyRules[].exitCodes"),
    ("V1EnvVar", "env[]"),
    ("V1EnvVarSource", "env[].valueFrom"),
    ("V1ObjectFieldSelector", "env[].valueFrom.fieldRef"),
    ("V1ResourceFieldSelector", "env[].valueFrom.resourceFieldRef"),
    ("V1ConfigMapKeySelector", "env[].valueFrom.configMapKeyRef"),
    ("V1SecretKeySelector", "env[].valueFrom.secretKeyRef"),
    ("V1EnvFromSource", "envFrom[]"),
    ("V1ConfigMapEnvSource", "envFrom[].configMapRef"),
    ("V1SecretEnvSource", "envFrom[].secretRef"),
    ("V1Lifecycle", "lifecycle"),
    ("V1ResourceRequirements", "resources"),
    ("V1SecurityContext", "securityContext"),
    ("V1VolumeMount", "volumeMounts[]"),
)
ACTION_MODELS = (
    ("V1ExecAction", "exec"),
    ("V1HTTPGetAction", "httpGet"),
    ("V1HTTPHeader", "httpGet.httpHeaders[]"),
    ("V1TCPSocketAction", "tcpSocket"),
)
PROBE_MODELS = (("V1Probe", ""), *ACTION_MODELS, ("V1GRPCAction", "grpc"))
HOOK_MODELS = (("V1LifecycleHandler", ""), *ACTION_MODELS, ("V1SleepAction", "sleep"))
KINDS = ("spec.initContainers[]", "spec.containers[]", "spec.ephemeralContainers[]")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
HOOKS = ("lifecycle.postStart", "lifecycle.preStop")


def places() -> Iterator[tuple[str, str]]:
    """Each model with a place of it."""
    yield from POD_MODELS
    for kind in KINDS:
        nested = (
            *CONTAINER_MODELS,
            *((model, f"{probe}.{at}") for probe in PROBES for model, at in PROBE_MODELS),
            *((model, f"{hook}.{at}") for hook in HOOKS for model, at in HOOK_MODELS),
        )
        for model, at in nested:
            yield model, f"{kind}.{at}".removesuffix(".")


def api_fields() -> Iterator[str]:
    for model, prefix in places():
        for name, field in getattr(models, model).model_fields.items():
            yield f"{prefix}.{field.serialization_alias or name}"


@pytest.mark.parametrize("path", sorted(api_fields()))
def test_every_field_that_kubernetes_knows_is_decided(path: str) -> None:
    place: Any = TREE
    for segment in segments(path):
        if place.row is not None:
            return
        place = place.child(segment)
        assert place is not None, f"{path} has no row"


def test_the_table_names_no_field_that_kubernetes_lacks() -> None:
    known = set(api_fields())
    owners = sorted({prefix for _, prefix in places()}, key=len, reverse=True)
    for row in TABLE:
        owner = next(prefix for prefix in owners if row.path.startswith(f"{prefix}."))
        first = re.split(r"[.\[]", row.path.removeprefix(f"{owner}."))[0]
        assert f"{owner}.{first}" in known, row.path


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.path)
def test_every_row_that_takes_something_away_says_why(row: Row) -> None:
    if row.verdict is not Verdict.HONOURED:
        assert row.note
    assert not row.note.endswith(".")
    assert not (row.pattern and row.verdict is not Verdict.HONOURED)
    assert not (row.defaults and row.verdict is Verdict.HONOURED)
    assert not (row.needs and row.verdict is not Verdict.HONOURED)


def test_no_path_is_decided_twice() -> None:
    assert len({row.path for row in TABLE}) == len(TABLE)


def test_a_row_below_another_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="lies below"):
        grow((honoured("spec.a"), refused("spec.a.b", "no")))
    with pytest.raises(ValueError, match="twice"):
        grow((honoured("spec.a.b"), refused("spec.a", "no")))


def test_a_path_splits_into_steps() -> None:
    assert segments("a[].b['c.d/e'].*") == ("a", "[]", "b", "c.d/e", "*")
