"""A real Kubernetes control plane on this machine: for tests, `make cluster` and `make bench`."""

from controlplane.building import (
    Programs,
    build_control_plane,
    build_helm,
    build_metrics_server,
    build_registry,
)
from controlplane.errors import BuildError, ComponentError, ControlPlaneError, KubectlError
from controlplane.plane import ControlPlane
from controlplane.processes import Component
from controlplane.registry import Registry
from controlplane.tuning import Tuning

__all__ = [
    "BuildError",
    "Component",
    "ComponentError",
    "ControlPlane",
    "ControlPlaneError",
    "KubectlError",
    "Programs",
    "Registry",
    "Tuning",
    "build_control_plane",
    "build_helm",
    "build_metrics_server",
    "build_registry",
]
