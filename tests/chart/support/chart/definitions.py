"""CustomResourceDefinitions of others, from their Go modules: nothing is built."""

import json
import subprocess
from pathlib import Path

from controlplane.building import MODULES
from controlplane.golang import build_environment, usable_go

OPERATOR = "github.com/prometheus-operator/prometheus-operator"
CERT_MANAGER = "github.com/cert-manager/cert-manager"


def operators_definitions(*plurals: str) -> list[Path]:
    """The Prometheus operator's, a file each."""
    folder = _downloaded(OPERATOR) / "example" / "prometheus-operator-crd"
    return [folder / f"monitoring.coreos.com_{plural}.yaml" for plural in plurals]


def cert_managers_definitions(*plurals: str) -> list[Path]:
    """cert-manager's, a file each."""
    folder = _downloaded(CERT_MANAGER) / "deploy" / "crds"
    return [folder / f"cert-manager.io_{plural}.yaml" for plural in plurals]


def _downloaded(module: str) -> Path:
    """The module's folder in Go's own cache, downloaded where it lacks it."""
    go, _ = usable_go()
    answer = subprocess.run(
        [str(go), "mod", "download", "-json", module],
        cwd=MODULES / module.rpartition("/")[2],
        env=build_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(json.loads(answer.stdout)["Dir"])
