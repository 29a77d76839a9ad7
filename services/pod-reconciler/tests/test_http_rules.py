"""What a pod says of its HTTP handlers, and what is wrong with it."""

import pytest

from contract.messages.pod import HttpRules
from pod_reconciler.domain.container import Container, ContainerPort
from pod_reconciler.domain.httprules import http_rules, tcp_ports
from pod_reconciler.errors import PlanError


def test_a_pod_without_annotations_has_no_rules_of_its_own() -> None:
    assert http_rules({"wasmlet.dev/drain": "file"}) is None


def test_every_annotation_is_read() -> None:
    rules = http_rules(
        {
            "wasmlet.dev/http-reuse": "100",
            "wasmlet.dev/http-concurrency": "8",
            "wasmlet.dev/http-timeout-seconds": "2.5",
            "wasmlet.dev/http-max-body": "1.5Mi",
            "wasmlet.dev/http-access-log": "true",
            "wasmlet.dev/allowed-hosts": "API.example:443, *.svc",
        }
    )
    assert rules == HttpRules(
        reuse=100,
        concurrency=8,
        timeout_s=2.5,
        max_body_bytes=3 << 19,
        access_log=True,
        allowed_hosts=("api.example:443", "*.svc"),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("http-reuse", "0"),
        ("http-reuse", "many"),
        ("http-concurrency", "1001"),
        ("http-timeout-seconds", "0"),
        ("http-timeout-seconds", "1e9"),
        ("http-timeout-seconds", "NaN"),
        ("http-access-log", "yes"),
        ("http-max-body", "much"),
        ("http-max-body", "-1"),
        ("http-max-body", "2Ti"),
        ("allowed-hosts", "exmaple..com"),
        ("allowed-hosts", "http://host"),
        ("allowed-hosts", "host:99999"),
        ("allowed-hosts", "1:2:3"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(PlanError, match=rf"metadata.annotations\[wasmlet.dev/{name}\].*{value}"):
        http_rules({f"wasmlet.dev/{name}": value})


def test_only_tcp_ports_are_served_and_each_once() -> None:
    ports = (
        ContainerPort(container_port=8080),
        ContainerPort(container_port=53, protocol="UDP"),
        ContainerPort(container_port=8080, name="again"),
        ContainerPort(container_port=9000),
    )
    assert tcp_ports(Container(name="app", ports=ports)) == (8080, 9000)
