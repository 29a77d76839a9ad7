"""The real cert-manager beside a control plane: its definitions, its controllers, its CAs.

Its webhook is not here: it would judge what is asked, and has no part in what is signed. Neither
is its cainjector, which serves the webhook.
"""

from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from e2e.expectations import eventually

from chart.definitions import cert_managers_definitions, establish
from chart.helm import NAMESPACE
from controlplane import Component, ControlPlane
from controlplane.building import MODULES, GoModule, built
from controlplane.settings import read_settings

CERT_MANAGER: Final = GoModule(
    folder=MODULES / "cert-manager", cache="cert-manager", programs=("cert-manager-controller",)
)
OWN_NAMESPACE = "cert-manager"
KINDS = ("certificates", "certificaterequests", "issuers", "clusterissuers")
ROOT = "root"


class CertManager:
    """Keeps certificates from `with` on, with the two issuers of `ci/cert-manager-values.yaml`."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self._plane = plane
        program = built(CERT_MANAGER, read_settings()).path("cert-manager-controller")
        self.process = Component(
            "cert-manager-controller",
            [program, str(plane.admin_kubeconfig), OWN_NAMESPACE],
            folder / "cert-manager-controller.log",
            lambda: True,  # what it does shows that it is there
        )

    def __enter__(self) -> Self:
        establish(self._plane, *cert_managers_definitions(*KINDS))
        self.process.start()
        try:
            self._plane.kubectl("create", "namespace", OWN_NAMESPACE)
            # As its own documentation makes CAs: a root that signs itself, and issuers by it.
            self._plane.kubectl.create(
                _issuer("ClusterIssuer", ROOT, {"selfSigned": {}}),
                *_authority("wasmlet-ca", "Issuer", NAMESPACE),
                *_authority("cluster-ca", "ClusterIssuer", OWN_NAMESPACE),
            )
            eventually(partial(self._is_ready, f"issuer/wasmlet-ca --namespace={NAMESPACE}"))
            eventually(partial(self._is_ready, "clusterissuer/cluster-ca"))
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def _is_ready(self, issuer: str) -> bool:
        assert self.process.is_running, self.process.log_tail()
        words = ("wait", "--for=condition=Ready", "--timeout=1s", *issuer.split())
        return self._plane.kubectl(*words, check=False).returncode == 0


def _authority(name: str, kind: str, namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A CA's certificate in a Secret of its name, and the issuer that signs by it."""
    spec = {
        "isCA": True,
        "commonName": name,
        "secretName": name,
        "privateKey": {"algorithm": "ECDSA", "size": 256},
        "issuerRef": {"name": ROOT, "kind": "ClusterIssuer", "group": "cert-manager.io"},
    }
    metadata = {"name": name, "namespace": namespace}
    certificate = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": metadata}
    issuer = _issuer(kind, name, {"ca": {"secretName": name}})
    if kind == "Issuer":
        issuer["metadata"]["namespace"] = namespace
    return certificate | {"spec": spec}, issuer


def _issuer(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }
