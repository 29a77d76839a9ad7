"""CustomResourceDefinitions of others, from their Go modules: nothing is built."""

import json
import subprocess
from functools import partial
from pathlib import Path

from e2e.expectations import eventually

from controlplane import ControlPlane
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


def establish(plane: ControlPlane, *definitions: Path) -> None:
    """Bring them in; returns when their objects can be created."""
    for definition in definitions:
        # Created, for an apply would keep the whole text as an annotation, which is too long.
        plane.kubectl("create", "-f", str(definition))
        eventually(partial(_is_established, plane, definition))


def _is_established(plane: ControlPlane, definition: Path) -> bool:
    """Say it as `kubectl wait` does, which fails where there are no conditions at all yet."""
    wait = ("wait", "--for=condition=Established", "-f", str(definition))
    return plane.kubectl(*wait, check=False).returncode == 0


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
