"""A real Prometheus loads what kubernetes-mixin asks of a kubelet; each rule has values.

The node has something for each to tell of: a claim, a volume, a pod that is evicted. The mixin's
own rules and alerts are loaded with their own ranges and thresholds, where Go can have them.
"""

import json
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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
from e2e.upstream_rules import NoUpstreamError, kubelet_rules
from e2e.writing import writes_file

from controlplane import Component, ControlPlane, Registry
from controlplane.ports import free_ports

NODE: Final = "watched"
RULES: Final = Path(__file__).with_name("mixin_rules.yaml")
PATHS: Final = ("/metrics", "/metrics/cadvisor")
CLAIM: Final = "disk"
UNTOLD: Final = {f"node_namespace_pod_container:container_memory_{of}" for of in ("cache", "swap")}
"""What a node does not tell of a container; docs/kubelet-api.md says so."""

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
def overflow(images: Images, create: Callable[..., None]) -> Callable[[str], None]:
    """Creates a pod of this name that is evicted."""
    sleeps = images.push(guests.sleeps(), "watched-sleeps")
    writes = images.push(writes_file(), "watched-writes")

    def make(name: str) -> None:
        small = {"emptyDir": {"sizeLimit": "1Ki"}}
        stays = {"name": "stays", "image": sleeps}
        create(name, writes, small, stays, args=["/v", "large", "x" * 8192])

    return make


@pytest.fixture
def telling(
    pods: Pods,
    images: Images,
    create: Callable[..., None],
    claim: str,
    overflow: Callable[[str], None],
) -> None:
    """Pods that give every series a reason to be there."""
    sleeps = images.push(guests.sleeps(), "watched-sleeps")
    create("busy", sleeps, {"persistentVolumeClaim": {"claimName": claim}})
    create("idle", sleeps, {"emptyDir": {}})
    overflow("over")
    for name in ("busy", "idle"):
        pods.await_phase(name, "Running")


@pytest.fixture
def prometheus(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Starts one that scrapes this node through the API server and loads a file of rules."""
    with ExitStack() as running:

        def start(rules: Path) -> str:
            (port,) = free_ports(1)
            config = tmp_path / "prometheus.json"
            config.write_text(json.dumps(_config(control_plane, rules)))
            command = ["prometheus", f"--config.file={config}"]
            command += [f"--storage.tsdb.path={tmp_path / 'data'}"]
            command += [f"--web.listen-address=127.0.0.1:{port}"]
            log = tmp_path / "prometheus.log"
            server = Component("prometheus", command, log, lambda: _answers(port))
            server.start()
            running.callback(server.stop)
            server.wait_ready()
            return f"http://127.0.0.1:{port}"

        yield start


@pytest.mark.usefixtures("node", "telling")
def test_every_rule_of_the_mixin_has_values(prometheus: Callable[[Path], str]) -> None:
    records = {
        rule["record"]
        for group in msgspec.yaml.decode(RULES.read_bytes())["groups"]
        for rule in group["rules"]
    }
    address = prometheus(RULES)

    def loaded() -> bool:
        found = [(rule["name"], rule["health"]) for rule in _rules(address)]
        assert sorted(found) == sorted((record, "ok") for record in records)
        return True

    eventually(loaded, 60)
    eventually(lambda: _has_values(address, records), 120)


@pytest.mark.usefixtures("node", "telling")
def test_the_mixin_s_own_alerts_fire_when_they_should(
    prometheus: Callable[[Path], str],
    node: RunningWasmlet,
    overflow: Callable[[str], None],
    tmp_path: Path,
) -> None:
    try:
        groups = kubelet_rules(tmp_path)
    except NoUpstreamError as error:
        pytest.skip(str(error))
    records = {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}
    assert records > UNTOLD
    groups += msgspec.yaml.decode(RULES.read_bytes())["groups"][:1]  # who is where
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"groups": groups}))
    address = prometheus(rules)
    eventually(lambda: {each["health"] for each in _rules(address)} == {"ok"}, 60)
    eventually(lambda: _has_values(address, records - UNTOLD | {"kubelet_evictions"}), 120)
    assert _alerts(address) == {}
    # A rate is of two: the first one made the series.
    overflow("more")
    eventually(lambda: _alerts(address) == {"KubeNodeEviction": "firing"}, 60)
    node.stop()
    silent = {"KubeletInstanceUnreachable": "pending"}
    eventually(lambda: silent.items() <= _alerts(address).items(), 60)
    assert {each["health"] for each in _rules(address)} == {"ok"}


def _config(plane: ControlPlane, rules: Path) -> dict[str, Any]:
    """Through the API server, as the administrator, as whoever has no way to a node scrapes.

    Targets have the labels that the Prometheus operator gives a kubelet's.
    """
    pki = plane.admin_kubeconfig.parent / "pki"
    times = ("scrape_interval", "scrape_timeout", "evaluation_interval")
    return {
        "global": dict.fromkeys(times, "2s"),
        "rule_files": [str(rules)],
        "scrape_configs": [
            {
                "job_name": path,
                "scheme": "https",
                "metrics_path": f"/api/v1/nodes/{NODE}/proxy{path}",
                "tls_config": {
                    "ca_file": str(pki / "ca.crt"),
                    "cert_file": str(pki / "admin.crt"),
                    "key_file": str(pki / "admin.key"),
                },
                "static_configs": [
                    {
                        "targets": [plane.server.removeprefix("https://")],
                        "labels": {"job": "kubelet", "metrics_path": path},
                    }
                ],
            }
            for path in PATHS
        ],
    }


def _rules(address: str) -> list[dict[str, Any]]:
    groups = _asked(f"{address}/api/v1/rules")["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _has_values(address: str, names: set[str]) -> bool:
    found = _asked(f"{address}/api/v1/label/__name__/values")["data"]
    assert sorted(names - set(found)) == []
    return True


def _alerts(address: str) -> dict[str, str]:
    """The state of each that is not inactive."""
    alerts = _asked(f"{address}/api/v1/alerts")["data"]["alerts"]
    return {each["labels"]["alertname"]: each["state"] for each in alerts}


def _asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - its own address
        return json.load(answer)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready"):
            return True
    except OSError:
        return False
