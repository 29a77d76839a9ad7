"""Place, fields and room: who is rejected, with which of the kubelet's reasons and words."""

from collections.abc import Callable
from typing import Any

import pytest

from podspec.admission import admit, named
from podspec.fitting import pod_requests
from podspec.occupancy import HostPort, Occupancy
from podspec.placement import NodeFacts, Rejection
from podspec.reviewing import Finding

type Pod = dict[str, Any]
type MakePod = Callable[..., Pod]

WASM = {"kubernetes.io/os": "wasi", "kubernetes.io/arch": "wasm32-wasi"}
NODE = NodeFacts(
    name="n1",
    labels=WASM,
    allocatable={"cpu": "2", "memory": "100Mi", "pods": "3", "ephemeral-storage": "1G"},
)
OS_LABEL_REJECTION = Rejection(
    "PodOSSelectorNodeLabelDoesNotMatch",
    "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
)
AFFINITY = Rejection(
    "NodeAffinity",
    "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
)
TAINTED = Rejection(
    "TaintToleration",
    "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
)
PORTS = Rejection(
    "NodePorts",
    "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
)


def beside(*pods: Pod) -> Occupancy:
    """What these pods take."""
    taken = Occupancy()
    for number, pod in enumerate(pods):
        taken.take(str(number), pod)
    return taken


def rejection_of(pod: Pod, node: NodeFacts = NODE, *others: Pod) -> Rejection | None:
    return admit(pod, node, beside(*others)).rejection


def taking(make_pod: MakePod, **requests: str) -> Pod:
    return make_pod(container={"resources": {"requests": requests}})


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
    assert rejection.status_message == (
        "Pod was rejected: spec.containers[0].securityContext.privileged: "
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
        (
            {"ephemeral-storage": "2G"},
            "OutOfephemeral-storage",
            (
                "Node didn't have enough resource: ephemeral-storage, requested: 2000000000, "
                "used: 0, capacity: 1000000000"
            ),
        ),
    ],
)
def test_room_is_counted_beside_the_admitted(
    make_pod: MakePod, requests: dict[str, str], reason: str | None, message: str | None
) -> None:
    admitted = taking(make_pod, memory="40Mi", cpu="0.5")

    rejection = rejection_of(taking(make_pod, **requests), NODE, admitted)

    assert (rejection and rejection.reason) == reason
    if message is not None and rejection is not None:
        assert rejection.message == message


def test_there_is_room_for_so_many_pods(make_pod: MakePod) -> None:
    assert rejection_of(make_pod(), NODE, *[make_pod()] * 2) is None
    rejection = rejection_of(make_pod(), NODE, *[make_pod()] * 3)
    assert rejection == Rejection(
        "OutOfpods",
        "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
    )


def test_a_limit_and_the_overhead_count_as_requested(make_pod: MakePod) -> None:
    pod = make_pod(
        container={"resources": {"limits": {"memory": "90Mi"}}}, overhead={"memory": "11Mi"}
    )
    rejection = rejection_of(pod)
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
    assert rejection_of(make_pod(), NODE, taking(make_pod, memory="200Mi")) is None


def test_what_allocatable_does_not_name_is_not_counted(make_pod: MakePod) -> None:
    assert rejection_of(taking(make_pod, memory="1Ti"), NodeFacts(labels=WASM)) is None


def test_a_quantity_that_is_none_rejects_the_pod(make_pod: MakePod) -> None:
    rejection = rejection_of(taking(make_pod, memory="lots"))
    assert rejection is not None
    assert rejection.reason == "UnexpectedAdmissionError"
    assert "lots" in rejection.message


def test_want_of_room_is_told_before_the_wrong_place(make_pod: MakePod) -> None:
    """The kubelet's order: an operator who reads Events of both must not be misled."""
    pod = taking(make_pod, memory="200Mi")
    pod["spec"]["nodeSelector"] = {"disk": "fast"}
    rejection = rejection_of(pod)
    assert rejection is not None
    assert rejection.reason == "OutOfmemory"


@pytest.mark.parametrize("is_static", [False, True])
def test_a_critical_pod_is_not_rejected_for_want_of_room(
    make_pod: MakePod, *, is_static: bool
) -> None:
    pod = taking(make_pod, memory="200Mi")
    pod["spec"]["priority"] = 0 if is_static else 2_000_000_000
    assert admit(pod, NODE, beside(), is_static=is_static).rejection is None
    pod["spec"]["nodeSelector"] = {"disk": "fast"}
    assert admit(pod, NODE, beside(), is_static=is_static).rejection == AFFINITY


def test_a_high_priority_alone_makes_no_critical_pod(make_pod: MakePod) -> None:
    pod = taking(make_pod, memory="200Mi")
    pod["spec"]["priority"] = 1_999_999_999
    assert rejection_of(pod) is not None


def listening(make_pod: MakePod, *, sidecar: bool = False, **port: Any) -> Pod:
    """hostNetwork, as the API server completes it."""
    declared = {"ports": [{"containerPort": port["hostPort"], **port}]}
    if sidecar:
        init = [{"name": "i", "restartPolicy": "Always", **declared}]
        return make_pod(hostNetwork=True, initContainers=init)
    return make_pod(hostNetwork=True, container=declared)


@pytest.mark.parametrize(
    ("port", "is_free"),
    [
        ({"hostPort": 80}, False),
        ({"hostPort": 80, "protocol": "TCP"}, False),
        ({"hostPort": 80, "sidecar": True}, False),
        ({"hostPort": 80, "protocol": "UDP"}, True),
        ({"hostPort": 81}, True),
    ],
)
def test_a_port_of_the_node_is_had_once(
    make_pod: MakePod, port: dict[str, Any], *, is_free: bool
) -> None:
    pod = listening(make_pod, **port)
    assert rejection_of(pod, NODE, listening(make_pod, hostPort=80)) == (None if is_free else PORTS)


def test_an_init_container_holds_no_port(make_pod: MakePod) -> None:
    early = make_pod(initContainers=[{"name": "i", "ports": [{"hostPort": 80}]}])
    assert rejection_of(listening(make_pod, hostPort=80), NODE, early) is None


def test_a_released_pod_takes_nothing(make_pod: MakePod) -> None:
    pod = listening(make_pod, hostPort=80)
    taken = beside(pod, pod)
    taken.release("0")
    assert admit(pod, NODE, taken).rejection == PORTS
    taken.release("1")
    taken.release("never taken")
    assert admit(pod, NODE, taken).rejection is None
    assert not any(taken.total.values())


@pytest.mark.parametrize(
    ("address", "other", "collides"),
    [
        ("0.0.0.0", "10.0.0.1", True),  # noqa: S104 - as the API has it
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
    ],
)
def test_ports_of_two_addresses_do_not_collide(address: str, other: str, *, collides: bool) -> None:
    port = HostPort(address, "TCP", 80)
    assert port.collides_with(HostPort(other, "TCP", 80)) is collides
