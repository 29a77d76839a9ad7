"""Which rights `wasmlet doctor` asks for: those of the installation as it was told to be."""

from typing import Any

import pytest
import yaml

from wasmlet.doctor.arguments import DoctorOptions
from wasmlet.doctor.rights import Needs, needed, needs_of
from wasmlet.roles import OF_CERTIFICATES, OF_SERVICES, path_of, roles

SECRETS = "get secrets"


def pod(**told: str) -> dict[str, Any]:
    env = [{"name": f"WASMLET_{name}", "value": value} for name, value in told.items()]
    field = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    return {"spec": {"containers": [{"name": "c", "env": [field, *env]}, {"name": "bare"}]}}


@pytest.mark.parametrize(
    ("pods", "needs"),
    [
        ([], Needs()),
        ([pod(), pod(NAMESPACES="shop, garden")], Needs(namespaces=("shop", "garden"))),
        ([pod(APPROVE_CERTIFICATES="true")], Needs(csr=True)),
        ([pod(CERTIFICATE_MODE="csr")], Needs(csr=True)),
        ([pod(CERTIFICATE_MODE="selfSigned", APPROVE_CERTIFICATES="false")], Needs()),
    ],
)
def test_what_the_services_are_told_decides_what_they_need(
    pods: list[dict[str, Any]], needs: Needs
) -> None:
    assert needs_of(pods, DoctorOptions()) == needs


def test_options_win_over_what_the_pods_are_told() -> None:
    options = DoctorOptions(namespaces=("shop",), csr=True)
    assert needs_of([pod(NAMESPACES="garden")], options) == Needs(namespaces=("shop",), csr=True)


def test_a_confined_reconciler_needs_secrets_in_its_namespaces_alone() -> None:
    wide = {right.text() for right in needed("here")}
    confined = {right.text() for right in needed("here", Needs(namespaces=("shop", "garden")))}
    assert {text for text in wide if text.startswith(SECRETS)} == {SECRETS}
    here = {f"{SECRETS} in shop", f"{SECRETS} in garden"}
    assert {text for text in confined if text.startswith(SECRETS)} == here
    assert "patch leases in here" in confined


def test_signed_certificates_need_their_rights_of_services_alone() -> None:
    more = set(map(str, needed("here", Needs(csr=True)))) - set(map(str, needed("here")))
    assert {each.split("'")[1] for each in more} == {"log-server", "node-registrar"}
    assert any("kubernetes.io/kubelet-serving" in each for each in more)


def test_each_object_is_found_where_the_api_server_has_it() -> None:
    paths = {path_of(each) for file in (OF_SERVICES, OF_CERTIFICATES) for each in roles(file, "ns")}
    rbac, admission = (
        f"/apis/{group}.k8s.io/v1" for group in ("rbac.authorization", "admissionregistration")
    )
    assert {
        "/api/v1/namespaces/ns",
        "/api/v1/namespaces/ns/serviceaccounts/log-server",
        f"{rbac}/clusterroles/wasmlet-certificates-asked",
        f"{rbac}/namespaces/default/rolebindings/wasmlet-pod-reconciler",
        f"{admission}/validatingadmissionpolicies/wasmlet-nodes",
        f"{admission}/validatingadmissionpolicybindings/wasmlet-nodes",
    } <= paths
    assert "wasmlet-system" not in yaml.safe_dump(list(roles(OF_SERVICES, "ns")))
