"""Which certificates of kubelets are approved: those that a node of ours asks for itself."""

from typing import Any

import msgspec
import pytest

from node_registrar.domain.node_view import NodeMeta, NodeView
from node_registrar.domain.signing_requests import (
    Asked,
    Askers,
    reason_against,
    reason_against_client,
)

NODE = "wasm-m.example"
USER = f"system:node:{NODE}"
ADDRESS = "10.0.0.7"
POD = ("system:serviceaccount:ns:log-server", "authentication.kubernetes.io/node-name")
ASKERS = Askers(service_account="ns:log-server", host_prefix="wasm-")
OURS = NodeView(
    metadata=NodeMeta(name=NODE, uid="u", annotations={"wasmlet.dev/incarnation": "e/1"}),
    status={"addresses": [{"type": "InternalIP", "address": ADDRESS}]},
)
REAL = msgspec.structs.replace(OURS, metadata=NodeMeta(name=NODE, uid="u"))
SERVING = Asked(
    common_name=USER,
    organizations=("system:nodes",),
    dns_names=(NODE,),
    addresses=(ADDRESS,),
    other_names=False,
    usages=frozenset({"digital signature", "server auth"}),
    username=POD[0],
    groups=("system:serviceaccounts",),
    extra={POD[1]: ("m.example",)},
)
CLIENT = msgspec.structs.replace(
    SERVING,
    dns_names=(),
    addresses=(),
    usages=frozenset({"digital signature", "client auth"}),
    username="system:bootstrap:abcdef",
    groups=("system:bootstrappers", "system:bootstrappers:wasmlet:wasm-m:example"),
    extra={},
)


def test_a_pod_of_the_machine_and_the_node_itself_get_what_they_ask_for() -> None:
    assert reason_against(SERVING, OURS, ASKERS) is None
    itself = msgspec.structs.replace(SERVING, username=USER, groups=("system:nodes",), extra={})
    assert reason_against(itself, OURS, ASKERS) is None
    rsa = msgspec.structs.replace(SERVING, usages=SERVING.usages | {"key encipherment"})
    assert reason_against(rsa, OURS, ASKERS) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"common_name": "system:node:other"},
        {"common_name": NODE},
        {"organizations": ("system:nodes", "system:masters")},
        {"organizations": ()},
        {"dns_names": (NODE, "kubernetes.default")},
        {"addresses": (ADDRESS, "10.0.0.1")},
        {"addresses": ()},
        {"other_names": True},
        {"usages": SERVING.usages | {"client auth"}},
        {"usages": frozenset({"server auth"})},
        {"username": "system:serviceaccount:ns:other"},
        {"username": "system:node:other", "groups": ("system:nodes",)},
        {"username": USER, "groups": ()},
        {"extra": {POD[1]: ("other",)}},
        {"extra": {POD[1]: ("m.example", "other")}},
        {"extra": {}},
    ],
)
def test_no_other_serving_certificate_is_approved(changed: dict[str, Any]) -> None:
    assert reason_against(msgspec.structs.replace(SERVING, **changed), OURS, ASKERS)


def test_a_real_kubelets_node_and_one_that_is_not_there_are_left_alone() -> None:
    assert reason_against(SERVING, REAL, ASKERS)
    assert reason_against(SERVING, None, ASKERS)
    assert reason_against_client(CLIENT, REAL)
    nobody = Askers(service_account="", host_prefix="wasm-")
    assert reason_against(SERVING, OURS, nobody)


def test_an_enrolled_machine_gets_its_identity_and_a_node_renews_its_own() -> None:
    assert reason_against_client(CLIENT, None) is None
    assert reason_against_client(CLIENT, OURS) is None
    renewal = msgspec.structs.replace(CLIENT, username=USER, groups=("system:nodes",))
    assert reason_against_client(renewal, OURS) is None
    assert reason_against_client(renewal, None)


@pytest.mark.parametrize(
    "changed",
    [
        {"common_name": "system:node:other"},
        {"organizations": ("system:masters",)},
        {"dns_names": (NODE,)},
        {"addresses": (ADDRESS,)},
        {"other_names": True},
        {"usages": CLIENT.usages | {"server auth"}},
        {"groups": ("system:bootstrappers", "system:bootstrappers:wasmlet:other")},
        {"groups": ("system:bootstrappers:wasmlet",)},
        {"username": "system:node:other", "groups": ("system:nodes",)},
        {"username": USER, "groups": ()},
    ],
)
def test_no_other_identity_is_approved(changed: dict[str, Any]) -> None:
    assert reason_against_client(msgspec.structs.replace(CLIENT, **changed), OURS)
