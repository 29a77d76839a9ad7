"""kubernetes-mixin's rules as its own authors render them, out of kube-prometheus' Go module.

Nothing of them is kept here: Go downloads the module into its own cache, checked by its checksum
database, where a proxy has it.
"""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import msgspec

from controlplane.golang import build_environment, usable_go

MODULE: Final = "github.com/prometheus-operator/kube-prometheus@v0.18.0"
FILE: Final = Path("manifests/kubernetesControlPlane-prometheusRule.yaml")
OF_A_KUBELET: Final = (
    "kubernetes-storage",
    "kubernetes-system-kubelet",
    "k8s.rules.container_cpu_usage_seconds_total",
    "k8s.rules.container_memory_working_set_bytes",
    "k8s.rules.container_memory_rss",
    "k8s.rules.container_memory_cache",
    "k8s.rules.container_memory_swap",
    "kubelet.rules",
)
"""The groups that look at a kubelet or its cAdvisor."""


class NoUpstreamError(Exception):
    """Nobody gives the module; the text says what was answered."""


def kubelet_rules(folder: Path) -> list[dict[str, Any]]:
    """Those groups of rules, as Prometheus loads them."""
    go, _ = usable_go()
    answer = subprocess.run(
        [str(go), "mod", "download", "-json", MODULE],
        cwd=folder,
        env=build_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(answer.stdout or "{}")
    if "Dir" not in found:
        raise NoUpstreamError(f"no {MODULE}: {found.get('Error') or answer.stderr}")
    told = msgspec.yaml.decode((Path(found["Dir"]) / FILE).read_bytes())
    groups = {group["name"]: group for group in told["spec"]["groups"]}
    return [groups[name] for name in OF_A_KUBELET]
