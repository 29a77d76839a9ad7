"""The kubelet that is tested is the control plane's: one Kubernetes, in two Go modules."""

import re

from realnode.programs import KUBELET

from controlplane.building import CONTROL_PLANE, GoModule


def kubernetes(module: GoModule) -> set[str]:
    """Versions of everything of Kubernetes' own that a module asks for."""
    named = r"^\t?(?:replace )?(k8s\.io/(?:kubernetes|api|client-go) .+)$"
    return set(re.findall(named, (module.folder / "go.mod").read_text(), re.MULTILINE))


def test_kubelet_and_control_plane_are_of_one_version() -> None:
    wanted = kubernetes(CONTROL_PLANE)
    assert any(each.startswith("k8s.io/kubernetes v") for each in wanted)
    assert kubernetes(KUBELET) == wanted
