"""An installation whose certificates a real cert-manager keeps: the bus's and the kubelet port's.

With the values that the chart's other tests render and an API server judges. The tests are one
story, in order.
"""

import base64
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from chart.certmanager import CertManager
from chart.helm import CHART, NAMESPACE, RELEASE, Helm, installing
from chart.machine import NODE, Machine, is_ready
from chart.opened import Followed, fingerprint, kubelet_port, shown
from e2e.api import Api
from e2e.expectations import eventually

from controlplane import ControlPlane

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.geteuid() != 0, reason="containers' namespaces need root"),
]
VALUES = CHART / "ci" / "cert-manager-values.yaml"
# *Restricted* allows no port of the machine, which these values ask for.
PRIVILEGED = "pod-security.kubernetes.io/enforce=privileged"
CERTIFICATE = f"/apis/cert-manager.io/v1/namespaces/{NAMESPACE}/certificates/kubelet-tls"
MERGE = "application/merge-patch+json"
BY_ITS_CLOCK = "2159h59m30s"
"""Before its end a certificate of 2160 h is renewed: half a minute after it was made."""


@pytest.fixture(scope="module")
def cert_manager(
    cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CertManager]:
    with CertManager(cluster, tmp_path_factory.mktemp("cert-manager")) as cert_manager:
        yield cert_manager


@pytest.fixture(scope="module")
def installed(
    cert_manager: CertManager, cluster: ControlPlane, helm: Helm, machine: Machine, own_values: Path
) -> Helm:
    assert cert_manager.process.is_running
    assert machine.failure is None
    cluster.kubectl("label", "namespace", NAMESPACE, PRIVILEGED, "--overwrite")
    helm("install", RELEASE, str(CHART), "-f", str(VALUES), *installing(own_values))
    return helm


def secret(api: Api, name: str) -> dict[str, str]:
    """What a Secret of the installation holds, as text."""
    data = api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}")["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def issuer_of(api: Api, name: str) -> str:
    """By its own marks on the Secret."""
    marks = api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}")["metadata"]["annotations"]
    return f"{marks['cert-manager.io/issuer-kind']}/{marks['cert-manager.io/issuer-name']}"


def believed(api: Api, server_name: str) -> str:
    """The fingerprint of what the port shows to one who trusts the issuer and asks by this name.

    Raises `ssl.SSLCertVerificationError` where that is for somebody else, or another's.
    """
    context = ssl.create_default_context(cadata=secret(api, "kubelet-tls")["ca.crt"])
    with (
        socket.create_connection(kubelet_port(api), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=server_name) as port,
    ):
        der = port.getpeercert(binary_form=True)
    assert der is not None
    return fingerprint(ssl.DER_cert_to_PEM_cert(der))


def test_a_bus_with_cert_managers_certificate_lets_a_module_run(installed: Helm, api: Api) -> None:
    eventually(lambda: is_ready(api))
    assert issuer_of(api, "nats-tls") == "Issuer/wasmlet-ca"
    said = installed("test", RELEASE, f"--namespace={NAMESPACE}", "--logs", "--timeout=60s")
    assert "the chart works" in said


@pytest.mark.usefixtures("installed")
def test_the_kubelet_port_is_believed_by_whoever_trusts_the_issuer(
    api: Api, machine: Machine
) -> None:
    """By the address that the chart found at the machine's Node, and by the Wasm node's name."""
    assert issuer_of(api, "kubelet-tls") == "ClusterIssuer/cluster-ca"
    kept = fingerprint(secret(api, "kubelet-tls")["tls.crt"])
    assert {believed(api, name) for name in (machine.address, NODE)} == {kept}
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        believed(api, "wasm-machine-9")


@pytest.mark.usefixtures("installed")
def test_what_cert_manager_renews_is_taken_up_under_a_followed_log(
    api: Api, machine: Machine, followed: Followed
) -> None:
    eventually(lambda: len(followed.numbers()) > 3)
    before = shown(api)
    api.patch(CERTIFICATE, {"spec": {"renewBefore": BY_ITS_CLOCK}}, MERGE)
    eventually(lambda: shown(api) != before, within_s=90)
    again = shown(api)
    eventually(lambda: shown(api) not in {before, again}, within_s=90)
    assert believed(api, machine.address)
    assert followed.goes_on()
    assert is_ready(api)
    assert all(each.restarts == 0 for each in machine.pod("wasm-node").containers)
