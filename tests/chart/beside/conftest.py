"""Fixtures of an installation on a machine with the real kubelet: built when a test asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from chart.helm import NAMESPACE, Helm
from composetests.engine import Engine, why_no_engine
from e2e import guests
from e2e.images import Images
from realnode.images import NATS, PREFIX, TAG, write_archive
from realnode.node import RealNode
from realnode.programs import why_no_node

from controlplane import ControlPlane, build_helm

MEMORY = "768Mi"
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The images; the engine that built them is gone."""
    reason = why_no_node() or why_no_engine()
    if reason is not None:
        pytest.skip(reason)
    into = tmp_path_factory.mktemp("archive") / "images.tar"
    with Engine() as engine:
        write_archive(engine, into)
    yield into
    into.unlink()


@pytest.fixture(scope="module")
def cluster(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    assert archive.exists()
    with ControlPlane(tmp_path_factory.mktemp("real plane")) as plane:
        plane.kubectl("create", "namespace", NAMESPACE)
        plane.kubectl("label", "namespace", NAMESPACE, RESTRICTED)
        yield plane


@pytest.fixture(scope="module")
def node(
    cluster: ControlPlane, archive: Path, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealNode]:
    folder = tmp_path_factory.mktemp("real node")
    ports = [images.registry.port]
    with RealNode(cluster, folder, archive, ports=ports) as node:
        yield node
    assert node.leftovers() == []


@pytest.fixture(scope="module")
def helm(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(build_helm(), tmp_path_factory.mktemp("helm home"), cluster.admin_kubeconfig)


@pytest.fixture(scope="module")
def own_values(images: Images, node: RealNode, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images that were built here, and the registry of this test; all else is the default."""
    tested = images.push(guests.prints("the chart works"), "tested")
    values = {
        "image": {"registry": PREFIX, "tag": TAG},
        "nats": {"image": NATS},
        "wasmExecutor": {
            "resources": {"cpu": "1", "memory": MEMORY},
            "settings": {"INSECURE_REGISTRIES": node.seen(images.registry.host)},
        },
        "tests": {"image": node.seen(tested)},
    }
    path = tmp_path_factory.mktemp("values") / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
