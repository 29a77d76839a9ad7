"""Place and fields: who is rejected, with which of the kubelet's reasons and words."""

import pytest
from admission_samples import (
    AFFINITY,
    NODE,
    OS_LABEL_REJECTION,
    TAINTED,
    MakePod,
    Pod,
    beside,
    rejection_of,
)

from podspec.admission import admit, named
from podspec.placement import NodeFacts, Rejection
from podspec.reviewing import Finding


def test_a_real_pod_is_admitted(recorded_pod: Pod) -> None:
    admission = admit(recorded_pod, NODE, beside())
    assert admission.rejection is None
    assert admission.ignored


@pytest.mark.parametrize(
    ("place", "rejection"),
    [
        ({"nodeSelector": {"kubernetes.io/os": "linux"}}, AFFINITY),
        ({"nodeSelector": {"kubernetes.io/os": "wasi"}}, None),
        (
            {"os": {"name": "linux"}},
            Rejection(
                "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
            ),
        ),
        ({"nodeSelector": {"disk": "fast"}}, AFFINITY),
    ],
)
def test_a_pod_for_another_node_is_rejected(
    make_pod: MakePod, place: Pod, rejection: Rejection | None
) -> None:
    assert rejection_of(make_pod(**place)) == rejection


def requiring(*terms: Pod) -> Pod:
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def expression(key: str, operator: str, *values: str) -> Pod:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def field(operator: str, *values: str) -> Pod:
    requirement = {"key": "metadata.name", "operator": operator, "values": list(values)}
    return {"matchFields": [requirement]}


LABELLED = NodeFacts(name="n1", labels={"zone": "a", "rank": "7"})


@pytest.mark.parametrize(
    ("terms", "is_wanted"),
    [
        ([expression("zone", "In", "a", "b")], True),
        ([expression("zone", "In", "b")], False),
        ([expression("zone", "NotIn", "b")], True),
        ([expression("zone", "NotIn", "a")], False),
        ([expression("other", "NotIn", "a")], True),
        ([expression("zone", "NotIn")], False),
        ([expression("zone", "Exists")], True),
        ([expression("zone", "Exists", "a")], False),
        ([expression("other", "Exists")], False),
        ([expression("other", "DoesNotExist")], True),
        ([expression("zone", "DoesNotExist")], False),
        ([expression("rank", "Gt", "6")], True),
        ([expression("rank", "Gt", "7")], False),
        ([expression("rank", "Lt", "8")], True),
        ([expression("rank", "Lt", "7")], False),
        ([expression("zone", "Gt", "1")], False),
        ([expression("rank", "Gt", "x")], False),
        ([expression("other", "Lt", "1")], False),
        ([expression("zone", "Near", "a")], False),
        ([field("In", "n1")], True),
        ([field("In", "n2")], False),
        ([field("NotIn", "n2")], True),
        ([field("In", "n1", "n2")], False),
        ([field("Exists")], False),
        ([expression("zone", "In", "b"), field("In", "n1")], True),
        ([{**expression("zone", "In", "b"), **field("In", "n1")}], False),
        ([{}], False),
        ([], False),
    ],
)
def test_required_node_affinity_is_the_schedulers(
    make_pod: MakePod, terms: list[Pod], *, is_wanted: bool
) -> None:
    pod = make_pod(affinity=requiring(*terms))
    assert rejection_of(pod, LABELLED) == (None if is_wanted else AFFINITY)


def test_preferred_affinity_rejects_nothing(make_pod: MakePod) -> None:
    term = {"weight": 1, "preference": expression("zone", "In", "b")}
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [term]}
    assert rejection_of(make_pod(affinity={"nodeAffinity": preferred}), LABELLED) is None


def test_where_the_node_cannot_be_read_its_place_is_not_judged(make_pod: MakePod) -> None:
    pod = make_pod(os={"name": "linux"}, nodeSelector={"disk": "fast"})
    pod["metadata"]["labels"] = {"kubernetes.io/os": "windows"}
    assert rejection_of(pod, NodeFacts(name="n1")) is None


def test_the_pods_own_os_label_counts_as_for_the_kubelet(make_pod: MakePod) -> None:
    pod = make_pod()
    pod["metadata"]["labels"] = {"kubernetes.io/os": "windows"}
    assert rejection_of(pod) == OS_LABEL_REJECTION


def test_a_node_labelled_linux_takes_pods_for_linux(make_pod: MakePod) -> None:
    node = NodeFacts(labels={"kubernetes.io/os": "linux"})
    pod = make_pod(os={"name": "linux"}, nodeSelector={"kubernetes.io/os": "linux"})
    assert rejection_of(pod, node) is None


@pytest.mark.parametrize(
    ("toleration", "is_admitted"),
    [
        (None, False),
        ({"operator": "Exists"}, True),
        ({"key": "arch", "operator": "Exists"}, True),
        ({"key": "arch", "operator": "Exists", "effect": "NoExecute"}, True),
        ({"key": "arch", "value": "wasm"}, True),
        ({"key": "arch", "operator": "Equal", "value": "wasm", "effect": "NoExecute"}, True),
        ({"key": "arch", "operator": "Exists", "effect": "NoSchedule"}, False),
        ({"key": "arch", "value": "arm"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"operator": "Equal", "value": "wasm"}, False),
        ({"key": "arch", "operator": "Lt", "value": "wasm"}, False),
    ],
)
def test_a_no_execute_taint_has_to_be_tolerated(
    make_pod: MakePod, toleration: Pod | None, *, is_admitted: bool
) -> None:
    node = NodeFacts(
        taints=(
            {"key": "arch", "value": "wasm", "effect": "NoExecute"},
            {"key": "cordoned", "effect": "NoSchedule"},
        )
    )
    pod = make_pod(tolerations=[toleration] if toleration else None)

    assert rejection_of(pod, node) == (None if is_admitted else TAINTED)
    assert admit(pod, node, beside(), is_static=True).rejection is None


def test_a_refused_field_rejects_the_pod_by_name(make_pod: MakePod) -> None:
    init = {"name": "i", "lifecycle": {"stopSignal": "SIGTERM"}}
    pod = make_pod(container={"securityContext": {"privileged": True}}, initContainers=[init])

    rejection = rejection_of(pod)

    assert rejection is not None
    assert rejection.reason == "PodFeatureUnsupported"
    assert rejection.message == (
        "spec.containers[0].securityContext.privileged: "
        "a guest cannot be given its node's rights; "
        "spec.initContainers[0].lifecycle.stopSignal: a guest has no signals"
    )


def test_a_long_list_of_refusals_is_cut(make_pod: MakePod) -> None:
    rejection = rejection_of(make_pod(**{f"x{number}": 1 for number in range(12)}))
    assert rejection is not None
    assert rejection.message.endswith("spec.x9: this field is not known; and 2 more")
    ignored = tuple(Finding(f"spec.x{number}", "why") for number in range(11))
    assert named(ignored)[9:] == ("spec.x9: why", "and 1 more")
    assert named(ignored[:10])[9:] == ("spec.x9: why",)
