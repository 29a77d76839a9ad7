"""The kubelet ports' certificates as the chart renders them, for each who may keep them."""

from typing import Any

import pytest
from chart.helm import CHART, Helm
from chart.objects import named, settings

CERT_MANAGER = ("-f", str(CHART / "ci" / "cert-manager-values.yaml"))
EXISTING = ("-f", str(CHART / "ci" / "existing-secret-values.yaml"))
DEFAULT = ("-f", str(CHART / "ci" / "default-values.yaml"))


def node(objects: list[dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = named(objects, "DaemonSet", "wasm-node")["spec"]["template"]["spec"]
    return spec


def container(spec: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each for each in spec["containers"] if each["name"] == name)
    return {**found, "pod": "wasm-node"}


@pytest.mark.parametrize(
    ("options", "secret"),
    [(CERT_MANAGER, "kubelet-tls"), (EXISTING, "kubelet-certificate")],
    ids=["certManager", "existingSecret"],
)
def test_the_log_server_alone_sees_the_secret_and_follows_it(
    helm: Helm, options: tuple[str, str], secret: str
) -> None:
    spec = node(helm.render(*options))
    (volume,) = (each for each in spec["volumes"] if each["name"] == "kubelet-tls")
    assert volume["secret"]["secretName"] == secret
    assert volume["secret"]["defaultMode"] == 0o440
    server = container(spec, "log-server")
    (mount,) = (each for each in server["volumeMounts"] if each["name"] == "kubelet-tls")
    assert mount["readOnly"] is True
    assert not {"subPath", "subPathExpr"} & set(mount), "such a mount does not follow its Secret"
    told = settings(server)
    assert told["CERTIFICATE_MODE"] == "files"
    paths = {f"{mount['mountPath']}/{each['path']}" for each in volume["secret"]["items"]}
    assert {told["TLS_CERT_FILE"], told["TLS_PRIVATE_KEY_FILE"]} == paths
    executor = container(spec, "wasm-executor")
    assert "kubelet-tls" not in {each["name"] for each in executor["volumeMounts"]}


@pytest.mark.parametrize("mode", ["selfSigned", "csr"])
def test_where_the_log_server_makes_its_key_no_secret_is_mounted(helm: Helm, mode: str) -> None:
    objects = helm.render(*DEFAULT, "--set", f"logServer.certificates={mode}")
    spec = node(objects)
    told = settings(container(spec, "log-server"))
    assert told["CERTIFICATE_MODE"] == mode
    assert not [name for name in told if name.startswith("TLS_")]
    assert "kubelet-tls" not in str(spec["volumes"])
    assert "Certificate" not in {each["kind"] for each in objects}


def test_cert_manager_is_asked_for_every_node_and_every_address_that_is_known(helm: Helm) -> None:
    spec = named(helm.render(*CERT_MANAGER), "Certificate", "kubelet-tls")["spec"]
    assert spec["secretName"] == "kubelet-tls"
    assert set(spec["dnsNames"]) >= {"wasm-machine-1", "wasm-machine-2.example"}
    assert spec["ipAddresses"] == ["192.0.2.11", "2001:db8::12"]
    assert "server auth" in spec["usages"]
    assert "client auth" not in spec["usages"]
    issuer = {"name": "cluster-ca", "kind": "ClusterIssuer", "group": "cert-manager.io"}
    assert spec["issuerRef"] == issuer
    unknown = ("--set", "nodePool.hosts=null", "--set", "logServer.certManager.addresses=null")
    empty = named(helm.render(*CERT_MANAGER, *unknown), "Certificate", "kubelet-tls")["spec"]
    assert empty["dnsNames"], "cert-manager refuses a certificate for nobody"
    assert "ipAddresses" not in empty


def test_the_user_is_told_which_addresses_it_names(helm: Helm) -> None:
    install = ("install", "wasmlet", str(CHART), "--dry-run=client", *CERT_MANAGER)
    assert "kubelet ports names 192.0.2.11, 2001:db8::12." in helm(*install)
    nobody = ("--set", "logServer.certManager.addresses=null")
    assert "kubelet ports names no address." in helm(*install, *nobody)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("logServer.certificates=certManager", "logServer.certManager.issuer.name is needed"),
        ("logServer.certificates=existingSecret", "logServer.existingSecret is needed"),
        ("logServer.certificates=files", "don't meet the specifications of the schema"),
        ("logServer.settings.TLS_CERT_FILE=x", "don't meet the specifications of the schema"),
    ],
)
def test_a_mode_that_lacks_something_is_refused_in_words(
    helm: Helm, options: str, said: str
) -> None:
    answer = helm("template", "wasmlet", str(CHART), "--set", options, check=False)
    assert said in answer
