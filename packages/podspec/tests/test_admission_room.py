"""Room and ports: who is rejected because others are there, with the kubelet's words."""

from typing import Any

import pytest
from admission_samples import (
    AFFINITY,
    NODE,
    PORTS,
    WASM,
    MakePod,
    Pod,
    beside,
    rejection_of,
    taking,
)

from podspec.admission import admit
from podspec.fitting import pod_requests
from podspec.occupancy import HostPort
from podspec.placement import NodeFacts, Rejection


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
