"""Fixtures of the chart's tests: the real Helm, and a control plane that admits what it renders."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chart.helm import VALUES, Helm
from e2e.api import Api
from e2e.images import Images

from controlplane import ControlPlane, Registry, build_helm


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster."""
    return Helm(build_helm(), tmp_path_factory.mktemp("helm"))


@pytest.fixture(params=VALUES, ids=lambda path: path.stem.removesuffix("-values"))
def values(request: pytest.FixtureRequest) -> Path:
    """Each file of values that the chart is tried with."""
    path: Path = request.param
    return path


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of the chart's tests: the chart's roles are the whole cluster's."""
    with ControlPlane(tmp_path_factory.mktemp("chart plane")) as plane:
        yield plane


@pytest.fixture(scope="module")
def api(cluster: ControlPlane) -> Iterator[Api]:
    """The administrator's requests to the cluster, which each folder of installations makes."""
    with Api(cluster) as api:
        yield api


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """Puts modules into a registry of the installation's own."""
    with Registry(tmp_path_factory.mktemp("registry")) as registry, Images(registry) as images:
        yield images
