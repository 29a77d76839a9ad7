"""A real Prometheus loads what kubernetes-mixin asks of a kubelet; each rule has values.

The node has something for each to tell of: a claim, a volume, a pod that is evicted.
"""

import json
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet, joined
from e2e.writing import writes_file

from controlplane import Component, ControlPlane, Registry
from controlplane.ports import free_ports

NODE: Final = "watched"
RULES: Final = Path(__file__).with_name("mixin_rules.yaml")
JOBS: Final = {"kubelet": "", "cadvisor": "/cadvisor"}
CLAIM: Final = "disk"

pytestmark = [
    pytest.mark.slow,  # a node of its own, and rates need some scrapes
    pytest.mark.timeout(400),
    pytest.mark.skipif(not shutil.which("prometheus"), reason="needs Debian's package prometheus"),
]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


@pytest.fixture
def node(
    control_plane: ControlPlane, api: Api, registry: Registry, disk: Path, tmp_path: Path
) -> Iterator[RunningWasmlet]:
    settings = {
        "wasm-executor:HOST_PATH_PREFIXES": disk,
        "wasm-executor:EVICTION_INTERVAL_S": 0.5,
    }
    folder, hosts = tmp_path / "up", [registry.host]
    with joined(
        control_plane, api, folder, node_name=NODE, registries=hosts, settings=settings
    ) as node:
        yield node


@pytest.fixture
def create(pods: Pods) -> Callable[..., None]:
    """Creates a pod on this node: name, image, a volume seen at `/v`, other containers; fields."""

    def make(
        name: str, image: str, volume: dict[str, Any], *others: dict[str, Any], **more: Any
    ) -> None:
        mounted = [{"name": "v", "mountPath": "/v"}]
        manifest = pod(name, image, volumeMounts=mounted, **more)
        manifest["spec"]["nodeSelector"] = {"kubernetes.io/hostname": NODE}
        manifest["spec"]["containers"] += others
        manifest["spec"]["volumes"] = [{"name": "v", **volume}]
        pods.create(manifest)

    return make


@pytest.fixture
def claim(api: Api, pods: Pods, disk: Path) -> Iterator[str]:
    """A claim that is bound to a folder of the node from the beginning."""
    size, modes = {"storage": "1Mi"}, ["ReadWriteOnce"]
    bound = {"capacity": size, "accessModes": modes, "storageClassName": ""}
    volume = bound | {
        "hostPath": {"path": str(disk)},
        "claimRef": {"namespace": pods.namespace, "name": CLAIM},
    }
    name = f"{pods.namespace}-{CLAIM}"
    api.create("/api/v1/persistentvolumes", {"metadata": {"name": name}, "spec": volume})
    wanted = {
        "accessModes": modes,
        "resources": {"requests": size},
        "volumeName": name,
        "storageClassName": "",
    }
    path = f"/api/v1/namespaces/{pods.namespace}/persistentvolumeclaims"
    api.create(path, {"metadata": {"name": CLAIM}, "spec": wanted})
    yield CLAIM
    api.delete(f"/api/v1/persistentvolumes/{name}")


@pytest.fixture
def telling(pods: Pods, images: Images, create: Callable[..., None], claim: str) -> None:
    """Pods that give every series a reason to be there."""
    sleeps = images.push(guests.sleeps(), "watched-sleeps")
    writes = images.push(writes_file(), "watched-writes")
    create("busy", sleeps, {"persistentVolumeClaim": {"claimName": claim}})
    create("idle", sleeps, {"emptyDir": {}})
    over = {"emptyDir": {"sizeLimit": "1Ki"}}
    stays = {"name": "stays", "image": sleeps}
    create("over", writes, over, stays, args=["/v", "large", "x" * 8192])
    for name in ("busy", "idle"):
        pods.await_phase(name, "Running")


@pytest.fixture
def prometheus(control_plane: ControlPlane, tmp_path: Path) -> Iterator[str]:
    """The address of one that scrapes this node through the API server and loads the rules."""
    (port,) = free_ports(1)
    config = tmp_path / "prometheus.json"
    config.write_text(json.dumps(_config(control_plane)))
    server = Component(
        "prometheus",
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        tmp_path / "prometheus.log",
        lambda: _answers(port),
    )
    server.start()
    try:
        server.wait_ready()
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


@pytest.mark.usefixtures("node", "telling")
def test_every_rule_of_the_mixin_has_values(prometheus: str) -> None:
    records = [
        rule["record"]
        for group in msgspec.yaml.decode(RULES.read_bytes())["groups"]
        for rule in group["rules"]
    ]

    def loaded() -> bool:
        groups = _asked(f"{prometheus}/api/v1/rules")["data"]["groups"]
        found = [(rule["name"], rule["health"]) for group in groups for rule in group["rules"]]
        assert sorted(found) == sorted((record, "ok") for record in records)
        return True

    def all_there() -> bool:
        found = _asked(f"{prometheus}/api/v1/label/__name__/values")["data"]
        assert sorted(set(records) - set(found)) == []
        return True

    eventually(loaded, 60)
    eventually(all_there, 120)


def _config(plane: ControlPlane) -> dict[str, Any]:
    """Through the API server, as the administrator, as whoever has no way to a node scrapes."""
    pki = plane.admin_kubeconfig.parent / "pki"
    return {
        "global": {
            "scrape_interval": "2s",
            "scrape_timeout": "2s",
            "evaluation_interval": "2s",
        },
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {
                "job_name": job,
                "scheme": "https",
                "metrics_path": f"/api/v1/nodes/{NODE}/proxy/metrics{endpoint}",
                "tls_config": {
                    "ca_file": str(pki / "ca.crt"),
                    "cert_file": str(pki / "admin.crt"),
                    "key_file": str(pki / "admin.key"),
                },
                "static_configs": [{"targets": [plane.server.removeprefix("https://")]}],
            }
            for job, endpoint in JOBS.items()
        ],
    }


def _asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - its own address
        return json.load(answer)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready"):
            return True
    except OSError:
        return False
