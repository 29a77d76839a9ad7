"""The kubelet and containerd, built from the Go module proxy when a test first asks for them."""

import os
import shutil
from typing import Final

from controlplane import Programs
from controlplane.building import MODULES, GoModule, built
from controlplane.settings import read_settings

KUBELET: Final = GoModule(folder=MODULES / "kubelet", cache="kubelet", programs=("kubelet",))
CONTAINERD: Final = GoModule(
    folder=MODULES / "containerd",
    cache="containerd",
    programs=("containerd", "containerd-shim-runc-v2", "ctr"),
)
# Where Debian's packages put what containerd calls by path.
RUNC: Final = "/usr/sbin/runc"
CNI: Final = "/usr/lib/cni"


def why_no_node() -> str | None:
    """Why no real node can be started here; None where one can."""
    if os.geteuid() != 0:
        return "a real node needs root"
    needed = {
        "runc": RUNC,
        "containernetworking-plugins": f"{CNI}/bridge",
        "iproute2": "ip",
        "util-linux": "nsenter",
    }
    absent = [package for package, path in needed.items() if shutil.which(path) is None]
    return f"needs Debian's {', '.join(absent)}: make debian-packages" if absent else None


def build_kubelet() -> Programs:
    return built(KUBELET, read_settings())


def build_containerd() -> Programs:
    return built(CONTAINERD, read_settings())
