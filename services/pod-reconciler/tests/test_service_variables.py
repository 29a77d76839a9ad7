"""The variables of Services, against what a kubelet makes of the same ones."""

from typing import Any

import msgspec
from reconciler_store import service

from pod_reconciler.domain.servicelinks import read_service, service_variables

MASTER = service("kubernetes", "10.0.0.1", {"name": "https", "port": 443, "protocol": "TCP"})
WEB = service(
    "my-web",
    "10.0.0.7",
    {"name": "http", "port": 80},
    {"name": "dns-udp", "port": 53, "protocol": "UDP"},
    namespace="shop",
)


def variables(*services: Any, namespace: str = "shop", has_links: bool = True) -> dict[str, str]:
    read = [read_service(msgspec.json.encode(each)) for each in services]
    return service_variables(read, namespace, has_links=has_links)


def test_a_service_is_told_of_as_the_kubelet_tells() -> None:
    assert variables(WEB) == {
        "MY_WEB_SERVICE_HOST": "10.0.0.7",
        "MY_WEB_SERVICE_PORT": "80",
        "MY_WEB_SERVICE_PORT_HTTP": "80",
        "MY_WEB_SERVICE_PORT_DNS_UDP": "53",
        "MY_WEB_PORT": "tcp://10.0.0.7:80",
        "MY_WEB_PORT_80_TCP": "tcp://10.0.0.7:80",
        "MY_WEB_PORT_80_TCP_PROTO": "tcp",
        "MY_WEB_PORT_80_TCP_PORT": "80",
        "MY_WEB_PORT_80_TCP_ADDR": "10.0.0.7",
        "MY_WEB_PORT_53_UDP": "udp://10.0.0.7:53",
        "MY_WEB_PORT_53_UDP_PROTO": "udp",
        "MY_WEB_PORT_53_UDP_PORT": "53",
        "MY_WEB_PORT_53_UDP_ADDR": "10.0.0.7",
    }


def test_an_ipv6_address_stands_in_brackets_before_a_port() -> None:
    found = variables(service("v6", "fd00::1", {"port": 1}, namespace="shop"))
    assert found["V6_PORT"] == "tcp://[fd00::1]:1"
    assert found["V6_SERVICE_HOST"] == "fd00::1"


def test_the_api_servers_own_is_told_everywhere_and_others_where_links_are_wanted() -> None:
    hosts = {key for key in variables(MASTER, WEB) if key.endswith("_SERVICE_HOST")}
    assert hosts == {"KUBERNETES_SERVICE_HOST", "MY_WEB_SERVICE_HOST"}
    unlinked = variables(MASTER, WEB, has_links=False)
    assert unlinked["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert not any(key.startswith("MY_WEB") for key in unlinked)
    elsewhere = variables(MASTER, WEB, namespace="other")
    assert not any(key.startswith("MY_WEB") for key in elsewhere)


def test_a_service_without_an_address_is_not_told_of() -> None:
    headless = service("headless", "None", {"port": 1}, namespace="shop")
    external = service("external", "", {"port": 1}, namespace="shop")
    assert variables(headless, external) == {}
