"""compose.yaml agrees with what it repeats (flags, settings, versions), and keeps containers in."""

import os
import re
import socket
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose import named_executor
from composetests.project import REPOSITORY, project, services

from controlplane import commandlines
from controlplane.commandlines import Layout
from controlplane.pki import make_pki
from controlplane.tuning import Tuning
from log_server.settings import LogServerSettings
from node_registrar.settings import RegistrarSettings
from pod_reconciler.settings import Settings as ReconcilerSettings
from servicekit.settings import ServiceSettings, read_settings
from wasm_executor.settings import ExecutorSettings

JOBS = {"files", "objects", "modules"}
OURS: dict[str, type[ServiceSettings]] = {
    "node-registrar": RegistrarSettings,
    "pod-reconciler": ReconcilerSettings,
    "log-server": LogServerSettings,
    "wasm-executor": ExecutorSettings,
}
# Where the components of `make cluster` meet on loopback, those of compose meet on a network.
ELSEWHERE = {
    "etcd": {
        "--listen-client-urls=https://127.0.0.1:2379": "--listen-client-urls=https://0.0.0.0:2379",
        "--advertise-client-urls=https://127.0.0.1:2379": "--advertise-client-urls=https://etcd:2379",
    },
    "kube-apiserver": {
        "--bind-address=127.0.0.1": "--bind-address=0.0.0.0",
        "--etcd-servers=https://127.0.0.1:2379": "--etcd-servers=https://etcd:2379",
    },
}


def test_the_control_plane_has_the_flags_of_make_cluster(tmp_path: Path) -> None:
    layout = Layout(
        data_dir=tmp_path,
        pki=make_pki(tmp_path / "pki"),
        etcd_port=2379,
        etcd_peer_port=2380,
        api_port=6443,
        controller_manager_port=10257,
        scheduler_port=10259,
    )
    for name, flags_of in (
        ("etcd", commandlines.etcd),
        ("kube-apiserver", commandlines.api_server),
        ("kube-controller-manager", commandlines.controller_manager),
        ("kube-scheduler", commandlines.scheduler),
    ):
        flags = [*flags_of(layout), *Tuning().flags(name)]
        flags = [flag.replace(str(tmp_path), "/control-plane") for flag in flags]
        elsewhere = ELSEWHERE.get(name, {})
        assert elsewhere.keys() <= set(flags)
        assert services()[name]["command"] == [elsewhere.get(flag, flag) for flag in flags]


def test_each_service_accepts_what_compose_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, kind in OURS.items():
        environ = dict(services()[name]["environment"])
        assert all(isinstance(value, str) for value in environ.values()), name
        if name == "wasm-executor":
            environ = _environment_of_container(2, environ, monkeypatch)
        settings = read_settings(kind, environ)
        assert settings.admin_port == 9400
        assert services()[name]["healthcheck"]["test"][-1] == "9400"


def test_each_service_that_traces_is_told_the_one_collector() -> None:
    written = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]
    told = {
        name: written[name]["environment"].get("WASMLET_TRACES_ENDPOINT", "nobody") for name in OURS
    }
    assert told == {
        name: "${TRACES_ENDPOINT:-}" if "traces_endpoint" in kind.__struct_fields__ else "nobody"
        for name, kind in OURS.items()
    }


def _environment_of_container(
    number: int, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    addresses = {"here": "10.0.0.7", "p-1": "10.0.0.9", f"p-{number}": "10.0.0.7"}

    def resolve(name: str) -> str:
        if name not in addresses:
            raise socket.gaierror
        return addresses[name]

    became: list[tuple[Any, ...]] = []
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "here")
        patch.setattr(socket, "gethostbyname", resolve)
        patch.setattr(os, "environ", environ)
        patch.setattr(os, "execve", lambda *call: became.append(call))
        patch.setattr(Path, "mkdir", lambda *_, **__: None)
        named_executor.main("p", 16)
    (_, command, given), *_ = became
    assert command[1:] == ["-m", "wasm_executor"]
    assert given["WASMLET_NODE_NAME"] == f"wasm-{number}"
    return dict(given)


def test_no_container_has_more_than_it_needs() -> None:
    for name, service in services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert (service["user"] == "0:0") == (name == "files"), name
        assert service.get("privileged") is None, name
        ports = service.get("ports", [])
        assert all(port.startswith("127.0.0.1:") for port in ports), name
    capable = {name for name, service in services().items() if service.get("cap_add")}
    assert capable == {"files", "kube-apiserver"}
    assert {name for name, service in services().items() if service.get("ports")} == {
        "kube-apiserver",
        "registry",
        "prometheus",
        "grafana",
    }


def test_a_service_mounts_no_credential_but_its_own() -> None:
    secrets = {
        "control-plane",
        "nats",
        "executors",
        "node-registrar",
        "pod-reconciler",
        "log-server",
    }
    for name in OURS:
        mounted = {each.partition(":")[0] for each in services()[name]["volumes"]}
        assert mounted & secrets == {"executors" if name == "wasm-executor" else name}


def test_up_waits_for_each_job_and_restarts_all_else() -> None:
    awaited = {
        name
        for service in services().values()
        for name, wish in service.get("depends_on", {}).items()
        if wish["condition"] == "service_completed_successfully"
    }
    # `up --wait` takes the end of a job for a failure unless somebody waits for that end.
    assert awaited == JOBS
    for name, service in services().items():
        assert service.get("restart") == (None if name in JOBS else "unless-stopped"), name


def test_prometheus_searches_what_runs_under_the_names_of_the_charts_jobs() -> None:
    config = yaml.safe_load((REPOSITORY / "compose/prometheus.yaml").read_text())
    searched: set[str] = set()
    jobs = set()
    for job in config["scrape_configs"]:
        jobs.add(job["job_name"].removeprefix("compose/"))
        for search in job["dns_sd_configs"]:
            assert search["port"] == 9400
            searched |= set(search["names"])
    assert searched == set(OURS)
    monitors = (REPOSITORY / "helm/wasmlet/templates/monitoring/podmonitors.yaml").read_text()
    named = re.search(r"\$service := list ([^}]*)\}", monitors)
    assert named is not None
    assert jobs == set(re.findall(r'"([^"]+)"', named[1]))


def test_images_are_of_the_versions_that_are_tested() -> None:
    modules = (REPOSITORY / "tests/e2e/go/controlplane/go.mod").read_text()
    kubernetes = re.search(r"k8s\.io/kubernetes (v\S+)", modules)
    etcd = re.search(r"go\.etcd\.io/etcd/server/v3 v(\S+)", modules)
    bus = tomllib.loads((REPOSITORY / "packages/embedded-nats/pyproject.toml").read_text())
    (nats,) = [each for each in bus["project"]["dependencies"] if each.startswith("nats-server")]
    assert kubernetes is not None
    assert etcd is not None
    images = {name: service["image"] for name, service in services().items()}
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        assert images[name] == f"registry.k8s.io/{name}:{kubernetes[1]}"
    assert images["etcd"].startswith(f"registry.k8s.io/etcd:{etcd[1]}-")
    assert images["nats"] == f"nats:{nats.partition('==')[2]}-alpine"


def test_the_example_names_modules_that_are_pushed() -> None:
    pods = list(yaml.safe_load_all((REPOSITORY / "compose/example.yaml").read_text()))
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    for pod in pods:
        (container,) = pod["spec"]["containers"]
        name = container["image"].removeprefix("registry:5000/").removesuffix(":1")
        assert f"/{name}.wat" in dockerfile


def test_every_volume_and_file_that_is_mounted_is_there() -> None:
    for service in services().values():
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            if not source.startswith("."):
                assert source in project()["volumes"], source
            elif source != "./.dev":
                assert (REPOSITORY / source).exists(), source
