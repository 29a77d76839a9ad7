"""What a plan says of names, against the kubelet's rules (kubelet_pods.go, dns.go, util.go)."""

from typing import Any

import msgspec
import pytest
from reconciler_peer import NODE
from reconciler_samples import AROUND, pod_json, pod_of

from contract.messages.naming import Dns, DnsBase, DnsConfig, HostAlias, Naming
from pod_reconciler.domain.planning import plan_of
from pod_reconciler.domain.surroundings import ClusterNames

SERVED = msgspec.structs.replace(
    AROUND, names=ClusterNames(servers=("10.96.0.10",), domain="c.test")
)
CLUSTER = Dns(
    base=DnsBase.CLUSTER,
    cluster=DnsConfig(
        nameservers=("10.96.0.10",),
        searches=("default.svc.c.test", "svc.c.test", "c.test"),
        options=("ndots:5",),
    ),
)


def naming(**spec: Any) -> Naming:
    naming = plan_of(pod_of(pod_json(**spec)), SERVED).naming
    assert naming is not None
    return naming


def hostname_variable(**spec: Any) -> str:
    return dict(plan_of(pod_of(pod_json(**spec)), SERVED).containers[0].env)["HOSTNAME"]


def test_a_pod_is_named_after_itself_with_a_domain_if_it_has_a_subdomain() -> None:
    assert naming() == Naming(hostname="pod-u-1", dns=CLUSTER)
    named = naming(hostname="web-0", subdomain="web")
    assert (named.hostname, named.domain) == ("web-0", "web.default.svc.c.test")
    assert not named.hostname_is_full


def test_an_override_wins_and_has_no_domain() -> None:
    named = naming(hostname="web-0", subdomain="web", hostnameOverride="mail.example.com")
    assert (named.hostname, named.domain) == ("mail.example.com", "")


def test_a_pod_of_the_host_network_has_the_name_and_the_hosts_of_its_node() -> None:
    named = naming(hostNetwork=True, hostname="web-0", subdomain="web")
    assert (named.hostname, named.domain, named.hosts_of_node) == (NODE, "", True)
    assert hostname_variable(hostNetwork=True, hostname="web-0") == NODE


def test_the_host_name_is_the_full_name_where_that_is_asked_for_and_there_is_a_domain() -> None:
    full: dict[str, Any] = {"hostname": "web-0", "setHostnameAsFQDN": True}
    assert hostname_variable(**full) == "web-0"
    assert not naming(**full).hostname_is_full
    assert hostname_variable(**full, subdomain="web") == "web-0.web.default.svc.c.test"
    assert naming(**full, subdomain="web").hostname_is_full


def test_a_full_name_that_is_too_long_holds_the_container_with_the_kubelets_words() -> None:
    json = pod_json(hostname="h" * 42, subdomain="web", setHostnameAsFQDN=True)
    full = f"{'h' * 42}.web.default.svc.c.test"
    held = plan_of(pod_of(json), SERVED).containers[0]
    assert held.config_error == (
        "failed to construct FQDN from pod hostname and cluster domain, FQDN "
        f"{full} is too long (64 characters is the max, {len(full)} characters requested)"
    )


def test_aliases_are_lines_in_their_order() -> None:
    aliases = [
        {"ip": "10.1.2.3", "hostnames": ["foo.local", "bar.local"]},
        {"ip": "10.1.2.4"},
    ]
    assert naming(hostAliases=aliases).aliases == (
        HostAlias(ip="10.1.2.3", hostnames=("foo.local", "bar.local")),
        HostAlias(ip="10.1.2.4"),
    )


@pytest.mark.parametrize(
    ("policy", "host_network", "dns"),
    [
        ("ClusterFirst", False, CLUSTER),
        ("ClusterFirst", True, Dns(base=DnsBase.HOST)),
        ("ClusterFirstWithHostNet", True, CLUSTER),
        ("Default", False, Dns(base=DnsBase.HOST)),
        ("None", False, Dns(base=DnsBase.NONE)),
    ],
)
def test_the_policy_says_who_resolves(policy: str, host_network: bool, dns: Dns) -> None:  # noqa: FBT001 - a parameter of the table
    assert naming(dnsPolicy=policy, hostNetwork=host_network).dns == dns


def test_without_a_cluster_name_server_the_node_resolves() -> None:
    assert plan_of(pod_of(pod_json()), AROUND).naming == Naming(hostname="pod-u-1")


def test_what_a_pod_adds_is_kept_apart_since_the_nodes_part_comes_before_it() -> None:
    config = {
        "nameservers": ["1.2.3.4"],
        "searches": ["ns1.test"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}, {"name": "x", "value": ""}],
    }
    assert naming(dnsConfig=config).dns == msgspec.structs.replace(
        CLUSTER,
        added=DnsConfig(
            nameservers=("1.2.3.4",), searches=("ns1.test",), options=("ndots:2", "edns0", "x")
        ),
    )
