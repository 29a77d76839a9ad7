"""The bus as the chart renders it for machines outside, and with certificates of the user's own."""

import base64
from typing import Any

import pytest
from chart.helm import CHART, Helm
from chart.objects import named, services, settings
from cryptography import x509

DEFAULT = str(CHART / "ci" / "default-values.yaml")
CALLOUT = str(CHART / "ci" / "callout-values.yaml")
OUTSIDE = ("-f", CALLOUT)
RANGES = "networkPolicy.machinesFrom={192.0.2.0/24,2001:db8::/32}"


def entries(helm: Helm, *options: str) -> list[dict[str, Any]]:
    policy = named(helm.render("-f", DEFAULT, *options), "NetworkPolicy", "nats")
    ingress: list[dict[str, Any]] = policy["spec"]["ingress"]
    return ingress


def test_the_bus_admits_nobody_but_the_services(helm: Helm) -> None:
    (only,) = entries(helm)
    assert only["from"]
    assert (only,) == tuple(entries(helm, "--set", RANGES)), "no machine may join"


def test_machines_outside_reach_the_client_port_and_no_other(helm: Helm) -> None:
    replicas = ("--set", "nats.replicas=3", "--set", "nats.port=4333")
    within, outside = entries(helm, *OUTSIDE, *replicas)
    assert outside == {"ports": [{"port": 4333}]}
    assert {"port": 6222} in within["ports"]


@pytest.mark.parametrize("lacking", ["nats.tls=off", "nats.callout.issuer="])
def test_machines_outside_that_could_not_join_reach_nothing(helm: Helm, lacking: str) -> None:
    assert len(entries(helm, *OUTSIDE, "--set", lacking)) == 1


def test_machines_outside_may_be_narrowed_to_their_networks(helm: Helm) -> None:
    _, outside = entries(helm, *OUTSIDE, "--set", RANGES)
    cidrs = [each["ipBlock"]["cidr"] for each in outside["from"]]
    assert cidrs == ["192.0.2.0/24", "2001:db8::/32"]


@pytest.mark.parametrize("range_", ["example.com", "192.0.2.1"])
def test_what_is_no_range_is_refused(helm: Helm, range_: str) -> None:
    option = f"networkPolicy.machinesFrom={{{range_}}}"
    said = helm("template", "wasmlet", str(CHART), "--set", option, check=False)
    assert "don't meet the specifications of the schema" in said


def test_a_certificate_of_the_users_own_is_mounted_and_none_is_made(helm: Helm) -> None:
    objects = helm.render("-f", DEFAULT, "--set", "nats.tls=existingSecret")
    names = [each["metadata"]["name"] for each in objects if each["kind"] == "Secret"]
    assert "nats-tls" not in names
    server = named(objects, "StatefulSet", "nats")["spec"]["template"]["spec"]
    assert {"nats-tls"} == {
        each["secret"]["secretName"] for each in server["volumes"] if each["name"] == "tls"
    }
    of_services = [each for each in services(objects) if each["name"] != "nats"]
    assert len(of_services) == 4
    for container in of_services:
        assert settings(container)["NATS_URL"].startswith("tls://")
        assert settings(container)["NATS_CA_FILE"] == "/etc/wasmlet/bus-ca/ca.crt"


ISSUER = ("--set", "nats.tls=certManager", "--set", "nats.certManager.issuer.name=bus-ca")
OUTSIDE_NAME = ("--set", "nats.names={nats.example.com}")
OWN_NAMES = ["nats.wasmlet-system.svc", "*.nats.wasmlet-system.svc", "localhost"]


def test_cert_manager_is_asked_for_a_certificate_that_servers_and_routes_can_use(
    helm: Helm,
) -> None:
    objects = helm.render("-f", DEFAULT, *ISSUER, *OUTSIDE_NAME)
    spec = named(objects, "Certificate", "nats-tls")["spec"]
    assert spec["secretName"] == "nats-tls"
    assert spec["dnsNames"] == [*OWN_NAMES, "nats.example.com"]
    assert {"server auth", "client auth"} <= set(spec["usages"])
    issuer = {"name": "bus-ca", "kind": "Issuer", "group": "cert-manager.io"}
    assert spec["issuerRef"] == issuer
    assert "nats-tls" not in {e["metadata"]["name"] for e in objects if e["kind"] == "Secret"}
    mounted = named(objects, "StatefulSet", "nats")["spec"]["template"]["spec"]["volumes"]
    assert "nats-tls" in {each["secret"]["secretName"] for each in mounted}


def test_cert_manager_without_an_issuer_is_refused_in_words(helm: Helm) -> None:
    option = "nats.tls=certManager"
    said = helm("template", "wasmlet", str(CHART), "--set", option, check=False)
    assert "nats.certManager.issuer.name is needed" in said


def test_a_generated_certificate_has_the_names_that_machines_outside_use(helm: Helm) -> None:
    secret = named(helm.render("-f", DEFAULT, *OUTSIDE_NAME), "Secret", "nats-tls")
    certificate = x509.load_pem_x509_certificate(base64.b64decode(secret["data"]["tls.crt"]))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [*OWN_NAMES, "nats.example.com"]
