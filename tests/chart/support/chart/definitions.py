"""The Prometheus operator's CustomResourceDefinitions, from its Go module: nothing is built."""

import json
import subprocess
from pathlib import Path

from controlplane.building import MODULES
from controlplane.golang import build_environment, usable_go

OPERATOR = "github.com/prometheus-operator/prometheus-operator"


def operators_definitions(*plurals: str) -> list[Path]:
    """The file of each definition, downloaded into Go's own cache where it lacks them."""
    go, _ = usable_go()
    answer = subprocess.run(
        [str(go), "mod", "download", "-json", OPERATOR],
        cwd=MODULES / "prometheus-operator",
        env=build_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(json.loads(answer.stdout)["Dir"]) / "example" / "prometheus-operator-crd"
    return [folder / f"monitoring.coreos.com_{plural}.yaml" for plural in plurals]
