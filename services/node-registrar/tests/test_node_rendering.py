"""The Node object: who says what, and what is believed."""

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from registrar_peers import FACTS, life

from contract.ids import NodeName
from contract.messages.node import NodeImage
from node_registrar.domain.addresses import Endpoint, refusal_of, replaces
from node_registrar.domain.capping import Caps, caps_of, within
from node_registrar.domain.conditions import Pressures, faces
from node_registrar.domain.granting import Grant
from node_registrar.domain.node_object import (
    address_status,
    adoption,
    correction,
    differing,
    endpoint_of,
    facts_status,
    is_foreign,
    is_rebooted,
    kubelet_version,
    new_node,
    template_of,
)
from node_registrar.domain.node_view import NodeView, decode_node
from node_registrar.domain.quantities import amount, cpu, size
from node_registrar.domain.readiness import NO_ADDRESS, SHUTTING_DOWN, problems, tells_of_shutdown
from node_registrar.settings import RegistrarSettings

GOLDEN = Path(__file__).parent / "golden" / "node.json"
NAME = NodeName("wasm.example")
ENDPOINT = Endpoint(address="10.1.2.3", port=10250, certificate_sha256="ab" * 32)
TEMPLATE = template_of(RegistrarSettings())


def made(settings: RegistrarSettings | None = None) -> dict[str, Any]:
    template = template_of(settings) if settings else TEMPLATE
    status = facts_status(FACTS, template) | address_status(NAME, ENDPOINT)
    return new_node(NAME, template, Grant(holder=life("e1", 3)), status)


def viewed(node: dict[str, Any]) -> NodeView:
    raw = node | {"metadata": node["metadata"] | {"uid": "u-1", "resourceVersion": "7"}}
    return decode_node(msgspec.json.encode(raw))


def test_a_new_node_is_this() -> None:
    assert made() == json.loads(GOLDEN.read_text())


def test_configuration_decides_about_labels_and_taints() -> None:
    settings = RegistrarSettings(
        node_labels=("kubernetes.io/os=linux", "kubernetes.io/arch=amd64", "team=a"),
        taints=("none",),
        exclude_from_load_balancers=False,
    )
    node = made(settings)
    assert node["metadata"]["labels"] == {
        "kubernetes.io/hostname": NAME,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": "amd64",
        "team": "a",
    }
    assert node["spec"]["taints"] == []
    assert node["status"]["nodeInfo"]["operatingSystem"] == "linux"
    assert node["status"]["nodeInfo"]["architecture"] == "amd64"


def test_no_executor_announces_more_than_the_caps() -> None:
    caps = RegistrarSettings(
        max_cpu_millis=500, max_memory_bytes=1024**3, max_pods=3, max_ephemeral_storage_bytes=1024
    )
    status = facts_status(within(FACTS, caps_of(caps)), template_of(caps))
    assert status["capacity"] == {
        "cpu": "500m",
        "memory": "1048576Ki",
        "pods": "3",
        "ephemeral-storage": "1Ki",
    }
    assert status["allocatable"] == status["capacity"]


def test_allocatable_is_never_below_zero_nor_above_capacity() -> None:
    odd = msgspec.structs.replace(
        FACTS, allocatable_cpu_millis=-1, allocatable_memory_bytes=FACTS.memory_bytes + 1
    )
    status = facts_status(within(odd, Caps()), TEMPLATE)
    assert status["allocatable"]["cpu"] == "0"
    assert status["allocatable"]["memory"] == status["capacity"]["memory"]


def test_images_are_shown_as_many_as_a_kubelet_shows() -> None:
    images = tuple(
        NodeImage(names=(f"r/a@sha256:{number}", f"r/a:{number}"), size_bytes=100 - number)
        for number in range(60)
    )
    status = facts_status(msgspec.structs.replace(FACTS, images=images), TEMPLATE)
    assert len(status["images"]) == 50
    assert status["images"][0] == {"names": ["r/a@sha256:0", "r/a:0"], "sizeBytes": 100}
    assert list(differing(status, facts_status(FACTS, TEMPLATE))) == ["images"]
    nothing = facts_status(FACTS, TEMPLATE)
    assert differing(nothing, {**nothing, "images": None}) == {}


def test_what_the_api_server_rewrote_is_no_difference() -> None:
    status = facts_status(FACTS, TEMPLATE)
    shown = status | {
        "capacity": {
            "cpu": "2",
            "memory": "4Gi",
            "pods": "110",
            "ephemeral-storage": "10Gi",
            "example.com/widgets": "1",
        },
        "runtimeHandlers": [{"name": "wasi"}, {"name": "", "features": {}}],
        "nodeInfo": status["nodeInfo"] | {"swap": {}},
    }
    assert differing(status, shown) == {}
    shown["capacity"] = shown["capacity"] | {"memory": "3Gi"}
    assert list(differing(status, shown)) == ["capacity"]
    assert list(differing(status, {})) == [field for field in status if field != "images"]


def test_an_adopted_node_gets_what_it_lacks_and_keeps_what_it_has() -> None:
    node = made()
    node["metadata"]["labels"] = {"kubernetes.io/os": "linux", "mine": "stays"}
    node["metadata"]["annotations"] = {}
    found = adoption(viewed(node), TEMPLATE)
    assert found["labels"] == {
        "kubernetes.io/hostname": NAME,
        "kubernetes.io/os": "wasi",
        "kubernetes.io/arch": "wasm32-wasi",
        "beta.kubernetes.io/os": "wasi",
        "beta.kubernetes.io/arch": "wasm32-wasi",
        "node.kubernetes.io/exclude-from-external-load-balancers": "",
    }
    assert found["annotations"] == {
        "volumes.kubernetes.io/controller-managed-attach-detach": "true"
    }
    assert "spec" not in found


def test_a_label_taken_away_later_stays_away_unless_the_kubelet_insists() -> None:
    node = made(RegistrarSettings(node_labels=("team=a",)))
    template = template_of(RegistrarSettings(node_labels=("team=a",)))
    assert correction(viewed(node), template) == {}
    del node["metadata"]["labels"]["team"]
    assert correction(viewed(node), template) == {}
    node["metadata"]["labels"]["kubernetes.io/arch"] = "amd64"
    assert correction(viewed(node), template) == {"labels": {"kubernetes.io/arch": "wasm32-wasi"}}


def test_a_restarted_registrar_finds_the_log_server_in_the_node() -> None:
    node = made()
    assert endpoint_of(viewed(node)) is None
    node["metadata"]["annotations"] |= correction(viewed(node), TEMPLATE, ENDPOINT)["annotations"]
    assert endpoint_of(viewed(node)) == ENDPOINT
    assert correction(viewed(node), TEMPLATE, ENDPOINT) == {}


def test_only_a_living_kubelet_of_another_kind_is_foreign() -> None:
    node = made()
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    node["status"] |= ready
    assert not is_foreign(viewed(node))
    node["status"]["nodeInfo"]["kubeletVersion"] = "v1.36.3"
    assert is_foreign(viewed(node))
    node["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    assert not is_foreign(viewed(node))
    assert not is_foreign(viewed({"metadata": {"name": NAME}}))


def test_another_boot_id_is_a_reboot_and_an_unknown_one_is_not() -> None:
    view = viewed(made())
    assert not is_rebooted(view, FACTS)
    assert is_rebooted(view, msgspec.structs.replace(FACTS, boot_id="boot-2"))
    assert not is_rebooted(view, msgspec.structs.replace(FACTS, boot_id=""))


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("0.1.0", "v1.36.3-wasmlet.0.1.0"),
        ("0.1.0.dev3+g12ab", "v1.36.3-wasmlet.0.1.0.dev3-g12ab"),
        ("2026.01.05", "v1.36.3-wasmlet.2026.1.5"),
        ("", "v1.36.3-wasmlet"),
    ],
)
def test_the_kubelet_version_parses_as_semver(own: str, expected: str) -> None:
    assert kubelet_version("v1.36.3", own) == expected


@pytest.mark.parametrize(
    ("address", "port", "word"),
    [
        ("127.0.0.1", 1, "loopback"),
        ("::1", 1, "loopback"),
        ("0.0.0.0", 1, "unspecified"),  # noqa: S104 - nothing is bound
        ("::", 1, "unspecified"),
        ("224.0.0.1", 1, "multicast"),
        ("169.254.1.1", 1, "link-local"),
        ("fe80::1", 1, "link-local"),
        ("example.com", 1, "not an IP address"),
        ("", 1, "not an IP address"),
        ("10.0.0.1", 0, "not a port"),
        ("10.0.0.1", 65536, "not a port"),
    ],
)
def test_an_address_that_cannot_be_a_nodes_is_refused(address: str, port: int, word: str) -> None:
    refusal = refusal_of(Endpoint(address=address, port=port, certificate_sha256=""))
    assert refusal is not None
    assert word in refusal


@given(st.ip_addresses())
def test_no_address_of_this_machine_alone_passes(address: object) -> None:
    refusal = refusal_of(Endpoint(address=str(address), port=10250, certificate_sha256=""))
    parsed = ip_address(str(address))
    local = parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified
    assert refusal is not None or not (local or parsed.is_multicast)


def test_two_announcers_do_not_make_the_address_flap() -> None:
    other = Endpoint(address="10.9.9.9", port=10250, certificate_sha256="cd" * 32)
    moved = msgspec.structs.replace(ENDPOINT, port=10251)
    assert not replaces(other, ENDPOINT, 14.9, 15)
    assert replaces(other, ENDPOINT, 15.0, 15)
    assert replaces(moved, ENDPOINT, 0.0, 15)
    assert replaces(other, ENDPOINT, None, 15)
    assert replaces(other, None, None, 15)


def test_a_node_says_why_it_is_not_ready() -> None:
    whole = {"cpu": "1", "memory": "1Gi", "pods": "1"}

    def why(**changes: Any) -> list[str]:
        fields: dict[str, Any] = {
            "shutting_down": False,
            "endpoint": ENDPOINT,
            "refusal": None,
            "capacity": whole,
        }
        return list(problems(**(fields | changes)))

    assert why() == []
    assert why(shutting_down=True) == ["node is shutting down"]
    assert why(endpoint=None) == ["the address of the kubelet API is not known yet"]
    assert why(endpoint=None, refusal="127.0.0.1 is a loopback address") == [
        "the address of the kubelet API cannot be used: 127.0.0.1 is a loopback address"
    ]
    assert why(capacity={"pods": "1"}) == ["missing node capacity for resources: cpu, memory"]


def test_a_shutdown_is_read_back_from_the_condition_that_tells_of_it() -> None:
    def ready(*why: str) -> dict[str, str]:
        return {"type": "Ready", "message": faces(Pressures(), why)["Ready"].message}

    assert tells_of_shutdown(ready(SHUTTING_DOWN))
    assert tells_of_shutdown(ready(NO_ADDRESS, SHUTTING_DOWN))
    assert not tells_of_shutdown(ready(NO_ADDRESS))
    assert not tells_of_shutdown(ready())
    assert not tells_of_shutdown({})


@given(st.integers(0, 10**9))
def test_quantities_keep_their_value(value: int) -> None:
    assert amount(cpu(value)) == amount(f"{value}m")
    assert amount(size(value * 1024)) == value * 1024


@pytest.mark.parametrize(("one", "other"), [("1000", "1k"), ("1024Ki", "1Mi"), ("500m", "0.5")])
def test_equal_amounts_are_equal_however_written(one: str, other: str) -> None:
    assert amount(one) == amount(other)


@pytest.mark.parametrize("text", ["", "x", "1X", "Ki", "1KiKi"])
def test_what_is_no_quantity_has_no_value(text: str) -> None:
    assert amount(text) is None


def test_of_one_object_the_later_version_is_kept() -> None:
    def version(uid: str, number: str) -> NodeView:
        meta = {"name": NAME, "uid": uid, "resourceVersion": number}
        return decode_node(msgspec.json.encode({"metadata": meta}))

    assert version("u", "9").is_older_than(version("u", "10"))
    assert not version("u", "10").is_older_than(version("u", "9"))
    assert not version("new", "9").is_older_than(version("u", "10"))
