"""A Node beside a machine's own: what it takes over, and what it leaves alone."""

from typing import Any

import msgspec
import pytest

from contract.ids import NodeName
from node_registrar.domain.addresses import Endpoint
from node_registrar.domain.hosts import (
    CORDON_MARK,
    HOLDING,
    HOLDS,
    LEAVING,
    Cordon,
    beside,
    changes_of,
    cordon,
    hold_of,
    host_name,
    is_host,
    owners_of,
    taints_beside,
)
from node_registrar.domain.node_object import SERVER_CERTIFICATE, address_status, endpoint_of
from node_registrar.domain.node_view import HostView, NodeView

OWNER = {"apiVersion": "v1", "kind": "Node", "name": "worker-1", "uid": "h-1"}
KEYS = ("ToBeDeleted",)


def host(annotations: dict[str, str] | None = None, **spec: Any) -> HostView:
    meta = {"name": "worker-1", "uid": "h-1", "annotations": annotations or {}}
    return msgspec.convert({"metadata": meta, "spec": spec}, HostView)


def node(annotations: dict[str, str] | None = None, **spec: Any) -> NodeView:
    meta = {
        "name": "wasm-worker-1",
        "uid": "n-1",
        "annotations": annotations or {},
        "ownerReferences": [OWNER],
    }
    return msgspec.convert({"metadata": meta, "spec": spec}, NodeView)


def test_the_host_is_named_by_the_rest_of_the_name() -> None:
    assert host_name(NodeName("wasm-worker-1"), "wasm-") == "worker-1"
    assert host_name(NodeName("worker-1"), "wasm-") is None
    assert host_name(NodeName("wasm-"), "wasm-") is None
    assert host_name(NodeName("wasm-worker-1"), "") is None


def test_a_wasm_node_is_no_host() -> None:
    assert is_host(host())
    assert not is_host(host({"wasmlet.dev/incarnation": "e1/1"}))


def test_exactly_this_host_owns_the_node_and_others_owners_stay() -> None:
    other = {"apiVersion": "x/v1", "kind": "Machine", "name": "m", "uid": "m-1"}
    assert owners_of([other, OWNER | {"uid": "older"}], host()) == [other, OWNER]


@pytest.mark.parametrize(
    ("host_cordoned", "mark", "cordoned", "then"),
    [
        (True, None, False, (Cordon.MIRRORED, True)),
        (True, None, True, (Cordon.KEPT, True)),
        (True, Cordon.MIRRORED, True, (Cordon.MIRRORED, True)),
        (True, Cordon.MIRRORED, False, (Cordon.MIRRORED, False)),
        (True, Cordon.KEPT, True, (Cordon.KEPT, True)),
        (False, Cordon.MIRRORED, True, (None, False)),
        (False, Cordon.KEPT, True, (None, True)),
        (False, Cordon.MIRRORED, False, (None, False)),
        (False, None, True, (None, True)),
        (False, None, False, (None, False)),
    ],
)
def test_a_cordon_is_carried_over_once_and_taken_back_only_if_ours(
    host_cordoned: bool,  # noqa: FBT001 - a column of the table
    mark: Cordon | None,
    cordoned: bool,  # noqa: FBT001 - a column of the table
    then: tuple[Cordon | None, bool],
) -> None:
    assert cordon(host_cordoned, mark, cordoned) == then


def test_a_node_that_follows_already_is_not_written() -> None:
    assert changes_of(node(), host(), KEYS) == ({}, {})
    cordoned = node({CORDON_MARK: "mirrored"}, unschedulable=True)
    assert changes_of(cordoned, host(unschedulable=True), KEYS) == ({}, {})


def test_a_host_that_leaves_drains_the_node_until_it_stays() -> None:
    leaving = host(taints=[{"key": "ToBeDeleted", "effect": "NoSchedule"}])
    own = {"key": "kubernetes.io/arch", "effect": "NoSchedule"}
    ours = {"key": LEAVING, "effect": "NoExecute"}
    assert changes_of(node(taints=[own]), leaving, KEYS).spec == {"taints": [own, ours]}
    assert changes_of(node(taints=[own, ours]), leaving, KEYS).spec == {}
    assert changes_of(node(taints=[own, ours]), host(), KEYS).spec == {"taints": [own]}
    assert taints_beside([own], leaving=False) is None


def test_what_others_wrote_on_the_host_stays() -> None:
    first, second = HOLDING
    theirs = {first: "true"}
    assert hold_of(host(theirs), busy=True) == {second: "true", HOLDS: second}
    held = host({**theirs, second: "true", HOLDS: second})
    assert hold_of(held, busy=True) == {}
    assert hold_of(held, busy=False) == {second: None, HOLDS: None}
    assert hold_of(host(theirs), busy=False) == {}


def test_a_forged_list_of_holds_takes_nothing_else_away() -> None:
    forged = host({HOLDS: "node.alpha.kubernetes.io/ttl", "node.alpha.kubernetes.io/ttl": "0"})
    assert hold_of(forged, busy=False) == {HOLDS: None}


def test_a_new_node_follows_from_its_first_moment() -> None:
    made: dict[str, Any] = {
        "metadata": {"name": "wasm-worker-1", "annotations": {"a": "b"}},
        "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]},
    }
    born = beside(made, host(unschedulable=True), KEYS)
    assert born["metadata"]["ownerReferences"] == [OWNER]
    assert born["metadata"]["annotations"] == {"a": "b", CORDON_MARK: "mirrored"}
    assert born["spec"] == {"taints": made["spec"]["taints"], "unschedulable": True}


def test_an_address_may_be_shown_as_one_that_nobody_routes_by() -> None:
    endpoint = Endpoint(address="10.1.2.3", port=10250, certificate_sha256="ab" * 32)
    status = address_status(NodeName("wasm-worker-1"), endpoint, "ExternalIP")
    assert status["addresses"][0] == {"type": "ExternalIP", "address": endpoint.address}
    certificate = {SERVER_CERTIFICATE: endpoint.certificate_sha256}
    shown = msgspec.structs.replace(node(certificate), status=status)
    assert endpoint_of(shown) == endpoint
