"""`make chart-goldens` writes what the chart renders for each file of values.

Left out is what other tests compare with its source: Secrets, whose contents are drawn anew at each
rendering; roles, alerts and dashboards, which are files that the chart passes on.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from chart.helm import VALUES, Helm
from controlplane import build_helm

GOLDEN = Path(__file__).parents[2] / "golden"
FROM_FILES = {
    *("Secret", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
    *("ConfigMap", "PrometheusRule"),
}
BUS_USERS = "wasmlet.dev/bus-users"  # a digest over the contract's table


def golden_file(values: Path) -> Path:
    return GOLDEN / values.name.replace("-values", "")


def shown(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the objects that a golden file holds."""
    kept = [each for each in objects if each["kind"] not in FROM_FILES]
    for each in kept:
        template = each.get("spec", {}).get("template", {}).get("metadata", {})
        template.get("annotations", {}).pop(BUS_USERS, None)
    return kept


def main() -> int:
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        helm = Helm(build_helm(), Path(home))
        for values in VALUES:
            text = yaml.safe_dump_all(shown(helm.render("-f", str(values))), sort_keys=False)
            golden_file(values).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
