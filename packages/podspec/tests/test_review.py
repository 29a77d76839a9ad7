"""Pods against the table: defaults pass, each refused field is named, nothing unknown slips by."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from podspec.fields import TABLE, segments
from podspec.reviewing import Finding, Review, review
from podspec.rows import Row, Verdict

type Pod = dict[str, Any]
type MakePod = Callable[..., Pod]

USE = "a value that is no default"


def pod_using(row: Row, value: Any = USE) -> tuple[Pod, str]:
    """A pod that uses one field, and the path by which a message has to name it."""
    pod: Pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main"}]}}
    place: Any = pod
    path = ""
    steps = segments(row.path)
    for step, following in zip(steps, (*steps[1:], None), strict=True):
        key: Any = 0 if step == "[]" else "example.com/x" if step == "*" else step
        path += f"[{key}]" if step == "[]" else f"['{key}']" if "/" in key else f".{key}"
        fresh: Any = value if following is None else [] if following == "[]" else {}
        if isinstance(place, list):
            if not place:
                place.append(fresh)
        elif following is None:
            place[key] = fresh
        else:
            place.setdefault(key, fresh)
        place = place[key]
    return pod, path.removeprefix(".")


def rows(verdict: Verdict) -> list[Row]:
    return [row for row in TABLE if row.verdict is verdict]


def test_what_a_real_api_server_fills_in_is_accepted(recorded_pod: Pod) -> None:
    found = review(recorded_pod)

    assert found.refused == ()
    assert [finding.path for finding in found.ignored] == [
        "spec.containers[0].resources.limits.cpu",
    ]


def test_a_cpu_limit_is_told_with_what_it_does_instead(make_pod: MakePod) -> None:
    pod = make_pod(container={"resources": {"limits": {"cpu": "2"}}})
    (found,) = review(pod).ignored
    assert found.reason == (
        "processor time is not limited; an HTTP handler has as many workers as this rounds up to"
    )


def test_the_pod_is_left_as_it_was(recorded_pod: Pod) -> None:
    before = json.dumps(recorded_pod)
    review(recorded_pod)
    assert json.dumps(recorded_pod) == before


@pytest.mark.parametrize("row", rows(Verdict.REFUSED), ids=lambda row: row.path)
def test_a_refused_field_is_refused_and_named(row: Row) -> None:
    pod, path = pod_using(row)
    assert Finding(path, row.note) in review(pod).refused


@pytest.mark.parametrize("row", rows(Verdict.IGNORED), ids=lambda row: row.path)
def test_an_ignored_field_is_told_and_refuses_nothing(row: Row) -> None:
    pod, path = pod_using(row)
    assert review(pod) == Review(ignored=(Finding(path, row.note),))


@pytest.mark.parametrize(
    "row", [row for row in rows(Verdict.HONOURED) if not row.pattern], ids=lambda row: row.path
)
def test_an_honoured_field_passes_in_silence(row: Row) -> None:
    found = review(pod_using(row)[0])
    assert (found.refused, found.ignored) == ((), ())
    assert bool(found.needed) is bool(row.needs)


@pytest.mark.parametrize("row", [row for row in TABLE if row.pattern], ids=lambda row: row.path)
def test_an_unknown_word_is_refused_where_only_some_are_honoured(row: Row) -> None:
    pod, path = pod_using(row)
    assert review(pod).refused == (Finding(path, f"{USE!r} is not {row.wanted or 'supported'}"),)


@pytest.mark.parametrize(
    ("row", "default"),
    [(row, default) for row in TABLE for default in row.defaults],
    ids=lambda value: getattr(value, "path", str(value)),
)
def test_a_default_is_no_use(row: Row, default: Any) -> None:
    assert review(pod_using(row, default)[0]) == Review()


@pytest.mark.parametrize("empty", [None, {}, []], ids=str)
@pytest.mark.parametrize("row", rows(Verdict.REFUSED), ids=lambda row: row.path)
def test_an_empty_value_is_no_use(row: Row, empty: Any) -> None:
    assert review(pod_using(row, empty)[0]) == Review()


@pytest.mark.parametrize(
    ("extra", "path"),
    [
        ({"container": {"image2": "x"}}, "spec.containers[0].image2"),
        ({"fooBar": 1}, "spec.fooBar"),
        ({"container": {"env": [{"name": "A"}, {"nam": "B"}]}}, "spec.containers[0].env[1].nam"),
        ({"securityContext": {"runAsRobot": True}}, "spec.securityContext.runAsRobot"),
        ({"container": {"ports": "80"}}, "spec.containers[0].ports"),
        ({"os": "linux"}, "spec.os"),
    ],
)
def test_an_unknown_field_is_refused_with_its_path(
    make_pod: MakePod, extra: Pod, path: str
) -> None:
    assert [finding.path for finding in review(make_pod(**extra)).refused] == [path]


@pytest.mark.parametrize(
    ("extra", "path"),
    [
        ({"volumes": [{"name": "v", "csi": {"driver": "d"}}]}, "spec.volumes[0].csi"),
        ({"volumes": ["v"]}, "spec.volumes[0]"),
        (
            {"volumes": [{"name": "v", "emptyDir": {"medium": "HugePages"}}]},
            "spec.volumes[0].emptyDir.medium",
        ),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{"podCertificate": {"a": 1}}]}}]},
            "spec.volumes[0].projected.sources[0].podCertificate",
        ),
        (
            {"ephemeralContainers": [{"name": "e", "volumeDevices": [{"name": "d"}]}]},
            "spec.ephemeralContainers[0].volumeDevices[0]",
        ),
        (
            {"container": {"volumeMounts": [{"name": "v", "mountPropagation": "HostToContainer"}]}},
            "spec.containers[0].volumeMounts[0].mountPropagation",
        ),
        (
            {"container": {"env": [{"name": "A", "valueFrom": {"futureKeyRef": {"key": "k"}}}]}},
            "spec.containers[0].env[0].valueFrom.futureKeyRef",
        ),
        (
            {"container": {"envFrom": [{"prefix": "A_", "secretReff": {"name": "s"}}]}},
            "spec.containers[0].envFrom[0].secretReff",
        ),
    ],
)
def test_a_refused_item_is_named_with_its_place_and_kind(
    make_pod: MakePod, extra: Pod, path: str
) -> None:
    assert [finding.path for finding in review(make_pod(**extra)).refused] == [path]


def test_probes_hooks_and_rules_are_honoured(make_pod: MakePod) -> None:
    action = {"httpGet": {"path": "/", "port": "web", "httpHeaders": [{"name": "a", "value": "b"}]}}
    probe = {**action, "periodSeconds": 1, "terminationGracePeriodSeconds": 3}
    rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
    life = {
        "livenessProbe": probe,
        "readinessProbe": {"grpc": {"port": 1, "service": "s"}},
        "startupProbe": {"tcpSocket": {"port": 1}},
        "lifecycle": {
            "postStart": {"exec": {"command": ["x"]}},
            "preStop": {"sleep": {"seconds": 1}},
        },
        "restartPolicy": "Never",
        "restartPolicyRules": [rule],
    }
    assert review(make_pod(container=life, initContainers=[{"name": "i", **life}])) == Review()


def test_each_refused_item_of_a_list_is_named(make_pod: MakePod) -> None:
    volumes = [
        {"name": "a", "nfs": {"server": "s"}},
        {"name": "b", "emptyDir": {}},
        {"name": "c", "csi": {"driver": "d"}},
    ]
    assert [str(finding) for finding in review(make_pod(volumes=volumes)).refused] == [
        "spec.volumes[0].nfs: this node has no driver of this storage",
        "spec.volumes[2].csi: this node has no driver of this storage",
    ]


def test_what_pod_security_restricted_demands_holds_for_any_guest(make_pod: MakePod) -> None:
    container = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    pod = make_pod(
        container={"securityContext": container},
        initContainers=[{"name": "i", "securityContext": container}],
        securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    )
    assert review(pod) == Review()


@pytest.mark.parametrize(
    ("context", "field"),
    [
        ({"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}, "capabilities.add"),
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation"),
        ({"seccompProfile": {"type": "Unconfined"}}, "seccompProfile.type"),
        ({"readOnlyRootFilesystem": False}, "readOnlyRootFilesystem"),
        ({"procMount": "Unmasked"}, "procMount"),
        ({"runAsUser": 1000}, "runAsUser"),
    ],
)
def test_what_asks_for_more_or_means_nothing_is_told(
    make_pod: MakePod, context: Pod, field: str
) -> None:
    found = review(make_pod(container={"securityContext": context}))
    assert found.refused == ()
    assert [each.path for each in found.ignored] == [f"spec.containers[0].securityContext.{field}"]


@pytest.mark.parametrize(
    ("value", "is_refused"), [("true", True), (1, True), (0, True), (True, True), (False, False)]
)
def test_only_the_default_of_the_right_type_passes(
    make_pod: MakePod, value: Any, *, is_refused: bool
) -> None:
    assert bool(review(make_pod(hostPID=value)).refused) is is_refused


@pytest.mark.parametrize(
    ("field_path", "is_supported"),
    [
        ("metadata.name", True),
        ("metadata.labels['app.kubernetes.io/name']", True),
        ("status.podIPs", True),
        ("spec.nodeName", True),
        ("metadata.labels", False),
        ("status.phase", False),
        ("xmetadata.name", False),
    ],
)
def test_only_field_paths_of_the_downward_api_are_resolved(
    make_pod: MakePod, field_path: str, *, is_supported: bool
) -> None:
    variable = {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": field_path}}}
    assert (not review(make_pod(container={"env": [variable]})).refused) is is_supported


@pytest.mark.parametrize(
    ("resource", "is_supported"),
    [
        ("limits.cpu", True),
        ("requests.memory", True),
        ("limits.ephemeral-storage", True),
        ("limits.hugepages-2Mi", False),
        ("limits", False),
    ],
)
def test_only_amounts_that_a_node_has_are_resolved(
    make_pod: MakePod, resource: str, *, is_supported: bool
) -> None:
    variable = {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": resource}}}
    assert (not review(make_pod(container={"env": [variable]})).refused) is is_supported


def test_a_host_port_can_only_be_the_containers_own(make_pod: MakePod) -> None:
    same = {"ports": [{"containerPort": 80, "hostPort": 80}]}
    other = {"ports": [{"containerPort": 80, "hostPort": 8080}]}
    path = "spec.containers[0].ports[0].hostPort"

    init = [{"name": "i", **same}]
    for pod in (make_pod(container=same), make_pod(initContainers=init, hostNetwork=True)):
        assert not review(pod).refused
    for pod in (make_pod(container=other), make_pod(container=other, hostNetwork=True)):
        assert [finding.path for finding in review(pod).refused] == [path]


def test_what_a_node_has_to_allow_is_told_and_refuses_nothing(make_pod: MakePod) -> None:
    volumes = [{"name": "v", "hostPath": {"path": "/srv"}}]
    found = review(make_pod(container={"ports": [{"containerPort": 80}]}, volumes=volumes))
    assert (found.refused, found.ignored) == ((), ())
    assert [str(finding) for finding in found.needed] == [
        (
            "spec.containers[0].ports[0].containerPort: "
            "an HTTP handler, or a node that lets guests listen (GUEST_SOCKETS)"
        ),
        "spec.volumes[0].hostPath.path: a node that allows it (HOST_PATH_PREFIXES)",
    ]


@pytest.mark.parametrize("pod", [{}, {"spec": None}, {"spec": {}}, {"spec": {"containers": "x"}}])
def test_a_pod_without_containers_is_refused(pod: Pod) -> None:
    assert review(pod).refused
