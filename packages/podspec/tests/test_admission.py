"""Place, fields and room: who is rejected, with which of the kubelet's reasons and words."""

from collections.abc import Callable
from typing import Any

import pytest

from podspec.admission import NodeFacts, Rejection, admit
from podspec.fitting import pod_requests

type Pod = dict[str, Any]
type MakePod = Callable[..., Pod]

WASM = {"kubernetes.io/os": "wasi", "kubernetes.io/arch": "wasm32-wasi"}
NODE = NodeFacts(
    labels=WASM, allocatable={"cpu": "2", "memory": "100Mi", "pods": "3", "ephemeral-storage": "1G"}
)
OS_LABEL_REJECTION = Rejection(
    "PodOSSelectorNodeLabelDoesNotMatch",
    "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
)


def taking(make_pod: MakePod, **requests: str) -> Pod:
    return make_pod(container={"resources": {"requests": requests}})


def test_a_real_pod_is_admitted(recorded_pod: Pod) -> None:
    admission = admit(recorded_pod, NODE)
    assert admission.rejection is None
    assert admission.ignored


@pytest.mark.parametrize(
    ("place", "rejection"),
    [
        ({"nodeSelector": {"kubernetes.io/os": "linux"}}, OS_LABEL_REJECTION),
        ({"nodeSelector": {"kubernetes.io/os": "wasi"}}, None),
        (
            {"os": {"name": "linux"}},
            Rejection(
                "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
            ),
        ),
        (
            {"nodeSelector": {"disk": "fast"}},
            Rejection(
                "NodeAffinity",
                "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
            ),
        ),
    ],
)
def test_a_pod_for_another_node_is_rejected(
    make_pod: MakePod, place: Pod, rejection: Rejection | None
) -> None:
    assert admit(make_pod(**place), NODE).rejection == rejection


def test_the_pods_own_os_label_counts_as_for_the_kubelet(make_pod: MakePod) -> None:
    pod = make_pod()
    pod["metadata"]["labels"] = {"kubernetes.io/os": "windows"}
    assert admit(pod, NODE).rejection == OS_LABEL_REJECTION


def test_a_node_labelled_linux_takes_pods_for_linux(make_pod: MakePod) -> None:
    node = NodeFacts(labels={"kubernetes.io/os": "linux"})
    pod = make_pod(os={"name": "linux"}, nodeSelector={"kubernetes.io/os": "linux"})
    assert admit(pod, node).rejection is None


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

    rejection = admit(pod, node).rejection
    assert (rejection is None) is is_admitted
    if rejection is not None:
        assert rejection.reason == "TaintToleration"


def test_a_refused_field_rejects_the_pod_by_name(make_pod: MakePod) -> None:
    pod = make_pod(container={"tty": True}, initContainers=[{"name": "i", "workingDir": "/"}])

    rejection = admit(pod, NODE).rejection

    assert rejection is not None
    assert rejection.reason == "PodFeatureUnsupported"
    assert rejection.status_message == (
        "Pod was rejected: spec.containers[0].tty: a guest has no terminal yet; "
        "spec.initContainers[0].workingDir: a guest has no working directory yet"
    )


def test_a_long_list_of_refusals_is_cut(make_pod: MakePod) -> None:
    rejection = admit(make_pod(**{f"x{number}": 1 for number in range(12)}), NODE).rejection
    assert rejection is not None
    assert rejection.message.endswith("spec.x9: this field is not known; and 2 more")


@pytest.mark.parametrize(
    ("requests", "reason", "message"),
    [
        (
            {"memory": "61Mi"},
            "OutOfmemory",
            (
                "Node didn't have enough resource: memory, requested: 63963136, "
                "used: 41943040, capacity: 104857600"
            ),
        ),
        (
            {"cpu": "1600m"},
            "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 1600, used: 500, capacity: 2000",
        ),
        ({"memory": "60Mi", "cpu": "1500m"}, None, None),
        ({"ephemeral-storage": "2G"}, "OutOfephemeral-storage", None),
    ],
)
def test_room_is_counted_beside_the_admitted(
    make_pod: MakePod, requests: dict[str, str], reason: str | None, message: str | None
) -> None:
    admitted = [taking(make_pod, memory="40Mi", cpu="0.5")]

    rejection = admit(taking(make_pod, **requests), NODE, admitted).rejection

    assert (rejection and rejection.reason) == reason
    if message is not None and rejection is not None:
        assert rejection.message == message


def test_there_is_room_for_so_many_pods(make_pod: MakePod) -> None:
    assert admit(make_pod(), NODE, [make_pod()] * 2).rejection is None
    rejection = admit(make_pod(), NODE, [make_pod()] * 3).rejection
    assert rejection == Rejection(
        "OutOfpods",
        "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
    )


def test_a_limit_and_the_overhead_count_as_requested(make_pod: MakePod) -> None:
    pod = make_pod(
        container={"resources": {"limits": {"memory": "90Mi"}}}, overhead={"memory": "11Mi"}
    )
    rejection = admit(pod, NODE).rejection
    assert rejection is not None
    assert rejection.reason == "OutOfmemory"


@pytest.mark.parametrize(
    ("init", "mib"),
    [
        # The kubelet adds up the same: sidecars stay, of the others one runs at a time.
        ((), 10),
        ((("8Mi", ""),), 10),
        ((("30Mi", ""), ("20Mi", "OnFailure")), 30),
        ((("5Mi", "Always"),), 15),
        ((("5Mi", "Always"), ("20Mi", "")), 25),
        ((("20Mi", ""), ("5Mi", "Always")), 20),
        ((("5Mi", "Always"), ("7Mi", "Always"), ("1Mi", "")), 22),
    ],
)
def test_init_containers_need_room_while_they_run(
    make_pod: MakePod, init: tuple[tuple[str, str], ...], mib: int
) -> None:
    pod = taking(make_pod, memory="10Mi")
    pod["spec"]["initContainers"] = [
        {
            "name": f"i{number}",
            "resources": {"requests": {"memory": memory}},
            **({"restartPolicy": policy} if policy else {}),
        }
        for number, (memory, policy) in enumerate(init)
    ]
    assert pod_requests(pod)["memory"] == mib * 2**20


def test_a_pod_that_asks_for_nothing_fits_into_a_full_node(make_pod: MakePod) -> None:
    assert admit(make_pod(), NODE, [taking(make_pod, memory="200Mi")]).rejection is None


def test_what_allocatable_does_not_name_is_not_counted(make_pod: MakePod) -> None:
    assert admit(taking(make_pod, memory="1Ti"), NodeFacts(labels=WASM)).rejection is None


def test_a_quantity_that_is_none_rejects_the_pod(make_pod: MakePod) -> None:
    rejection = admit(taking(make_pod, memory="lots"), NODE).rejection
    assert rejection is not None
    assert rejection.reason == "UnexpectedAdmissionError"
    assert "lots" in rejection.message
