"""What the chart renders, for each file of values: by the real Helm, without a cluster."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart.golden import golden_file, shown
from chart.helm import CHART, NAMESPACE, Helm
from chart.objects import hooks, named, pods, services, settings

from contract.subjects import Role
from controlplane.plane import DEPLOY
from log_server.settings import LogServerSettings
from node_registrar.app.leaving import LeavingSettings
from node_registrar.domain.admission import AUDIENCES
from node_registrar.settings import RegistrarSettings
from pod_reconciler.settings import Settings as ReconcilerSettings
from servicekit.settings import read_settings
from wasm_executor.settings import ExecutorSettings

SETTINGS: dict[str, Any] = {
    "node-registrar": RegistrarSettings,
    "pod-reconciler": ReconcilerSettings,
    "wasm-executor": ExecutorSettings,
    "log-server": LogServerSettings,
}
DEFAULT = str(CHART / "ci" / "default-values.yaml")


@pytest.fixture
def objects(helm: Helm, values: Path) -> list[dict[str, Any]]:
    return helm.render("-f", str(values))


@pytest.fixture(scope="module")
def default(helm: Helm) -> list[dict[str, Any]]:
    return helm.render("-f", DEFAULT)


def test_helm_finds_no_fault(helm: Helm, values: Path) -> None:
    said = helm("lint", "--strict", str(CHART), "-f", str(values))
    assert "0 chart(s) failed" in said


def test_a_workload_is_what_its_golden_file_says(
    objects: list[dict[str, Any]], values: Path
) -> None:
    """A change of the chart shows in review; `make chart-goldens` writes these files."""
    assert shown(objects) == list(yaml.safe_load_all(golden_file(values).read_text()))


def test_every_service_understands_what_it_is_told(objects: list[dict[str, Any]]) -> None:
    for container in services(objects):
        if container["name"] in SETTINGS:
            told = {f"WASMLET_{name}": value for name, value in settings(container).items()}
            assert read_settings(SETTINGS[container["name"]], told)


def test_every_container_says_what_it_needs(objects: list[dict[str, Any]]) -> None:
    for container in services(objects):
        wants = container["resources"]
        for amount in ("cpu", "memory"):
            assert wants["requests"][amount]
            assert wants["limits"][amount]
        if container["pod"] == "wasm-node":
            assert wants["requests"] == wants["limits"]


def test_every_container_is_probed(objects: list[dict[str, Any]]) -> None:
    for container in services(objects):
        assert container["startupProbe"]
        assert container["readinessProbe"]
        # Restarting the executor's container would end every guest; its keeper does it better.
        assert ("livenessProbe" in container) == (container["name"] != "wasm-executor")


def test_no_container_writes_its_image_or_gains_privileges(objects: list[dict[str, Any]]) -> None:
    for _, spec in pods(objects):
        assert not spec.get("hostNetwork")
        assert not spec.get("hostPID")
        assert spec["enableServiceLinks"] is False
        for container in (*spec.get("initContainers", []), *spec["containers"]):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert not context.get("privileged")
            assert context["capabilities"]["drop"] == ["ALL"]


def test_the_executor_holds_no_credential_of_the_cluster(objects: list[dict[str, Any]]) -> None:
    spec = named(objects, "DaemonSet", "wasm-node")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    (executor,) = (each for each in spec["containers"] if each["name"] == "wasm-executor")
    mounted = {each["name"] for each in executor["volumeMounts"]}
    projected = [each for each in spec["volumes"] if "projected" in each]
    assert projected
    for volume in (each for each in projected if each["name"] in mounted):
        # What it shows to the registrar is worth nothing to the API server, nor to be another.
        (source,) = volume["projected"]["sources"]
        assert source["serviceAccountToken"]["audience"] == AUDIENCES[Role.WASM_EXECUTOR]
    assert all("Secret" not in str(each.get("valueFrom")) for each in executor["env"])


def test_with_a_callout_only_the_control_services_have_passwords(helm: Helm) -> None:
    objects = helm.render("-f", str(CHART / "ci" / "callout-values.yaml"))
    secret = named(objects, "Secret", "nats-passwords")["stringData"]
    assert set(secret) == {"node-registrar", "pod-reconciler", "route"}
    config = json.loads(named(objects, "Secret", "nats-config")["stringData"]["nats.conf"])
    asked = config["authorization"]["auth_callout"]
    assert asked["auth_users"] == ["node-registrar", "pod-reconciler"]
    spec = named(objects, "DaemonSet", "wasm-node")["spec"]["template"]["spec"]
    told = {each["name"]: settings(each) for each in spec["containers"]}
    volumes = {each["name"]: each for each in spec["volumes"]}
    shown = {}
    for container in spec["containers"]:
        file = told[container["name"]]["NATS_TOKEN_FILE"]
        assert "NATS_PASSWORD_FILE" not in told[container["name"]]
        (mount,) = (
            m for m in container["volumeMounts"] if m["mountPath"] == str(Path(file).parent)
        )
        (source,) = volumes[mount["name"]]["projected"]["sources"]
        assert source["serviceAccountToken"]["path"] == Path(file).name
        shown[Role(container["name"])] = source["serviceAccountToken"]["audience"]
    assert shown == AUDIENCES
    (registrar,) = (each for each in services(objects) if each["name"] == "node-registrar")
    account = f"{NAMESPACE}:{spec['serviceAccountName']}"
    assert settings(registrar)["BUS_SERVICE_ACCOUNT"] == account


def test_no_role_has_a_wildcard_or_reads_all_secrets(objects: list[dict[str, Any]]) -> None:
    for role in (each for each in objects if each["kind"] in {"Role", "ClusterRole"}):
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
            if {"secrets", "configmaps"} & set(rule["resources"]):
                # The hook of an uninstallation leaves its mark, on one object that it cannot read.
                marks = role["metadata"]["name"] == "wasmlet-leaving"
                assert rule["verbs"] == (["patch"] if marks else ["get"])
                assert not marks or rule["resourceNames"] == ["wasmlet-installation"]


def test_the_roles_are_those_that_the_other_ways_apply(default: list[dict[str, Any]]) -> None:
    of_roles = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount")
    elsewhere = yaml.safe_load_all((DEPLOY / "rbac.yaml").read_text())
    wanted = [each for each in elsewhere if each["kind"] in of_roles]
    of_hooks = hooks(default, "pre-delete")
    rendered = [each for each in default if each["kind"] in of_roles and each not in of_hooks]
    assert sorted(map(json.dumps, rendered)) == sorted(map(json.dumps, wanted))


def test_an_uninstallation_is_understood_and_removes_its_own_rights(
    default: list[dict[str, Any]],
) -> None:
    made = hooks(default, "pre-delete")
    kinds = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Job")
    assert sorted(each["kind"] for each in made) == sorted(kinds)
    for each in made:
        policy = each["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert policy == "before-hook-creation,hook-succeeded"
    ((_, spec),) = pods(made)
    (container,) = spec["containers"]
    told = {f"WASMLET_{name}": value for name, value in settings(container).items()}
    marked = read_settings(LeavingSettings, told).installation
    namespace, _, name = marked.partition("/")
    assert namespace == NAMESPACE
    assert named(default, "ConfigMap", name)
    (registrar,) = (each for each in services(default) if each["name"] == "node-registrar")
    assert settings(registrar)["INSTALLATION"] == marked
    role = named(default, "Role", "wasmlet-leaving")
    assert role["rules"][0]["resourceNames"] == [name]


@pytest.mark.parametrize("option", ["uninstall.leave=false", "rbac.create=false"])
def test_an_uninstallation_without_leave_or_an_account_has_no_hook(helm: Helm, option: str) -> None:
    """A hook whose account nobody makes would end each uninstallation after its time."""
    objects = helm.render("-f", DEFAULT, "--set", option)
    assert hooks(objects, "pre-delete") == []


def test_the_runtime_classes_are_those_of_deploy(default: list[dict[str, Any]]) -> None:
    wanted = list(yaml.safe_load_all((DEPLOY / "runtimeclass.yaml").read_text()))
    rendered = [each for each in default if each["kind"] == "RuntimeClass"]
    bare = [{**each, "metadata": {"name": each["metadata"]["name"]}} for each in rendered]
    assert sorted(map(json.dumps, bare)) == sorted(map(json.dumps, wanted))


def test_a_packaged_chart_renders_the_same(
    helm: Helm, default: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The roles are a link out of the chart's folder: a package has to carry them."""
    helm("package", str(CHART), f"--destination={tmp_path}")
    (package,) = tmp_path.glob("wasmlet-*.tgz")
    text = helm("template", "wasmlet", str(package), f"--namespace={NAMESPACE}", "-f", DEFAULT)
    assert shown(list(yaml.safe_load_all(text))) == shown(default)
    kinds = [each["kind"] for each in yaml.safe_load_all(text)]
    assert sorted(kinds) == sorted(each["kind"] for each in default)


def test_another_namespace_is_meant_everywhere(helm: Helm) -> None:
    text = helm("template", "other", str(CHART), "--namespace=elsewhere", "-f", DEFAULT)
    assert NAMESPACE not in text
    assert "system:serviceaccount:elsewhere:pod-reconciler" in text


def test_a_confined_reconciler_is_bound_in_its_namespaces_alone(helm: Helm) -> None:
    objects = helm.render("-f", DEFAULT, "--set", "namespaces={shop,garden}")
    name = "wasmlet-pod-reconciler-objects"
    bindings = [
        (each["kind"], each["metadata"].get("namespace"))
        for each in objects
        if each["kind"].endswith("Binding") and each["metadata"]["name"] == name
    ]
    assert bindings == [("RoleBinding", "shop"), ("RoleBinding", "garden")]
    (container,) = (each for each in services(objects) if each["name"] == "pod-reconciler")
    assert settings(container)["NAMESPACES"] == "shop,garden"


@pytest.mark.parametrize(
    "option",
    [
        "nodePol.hosts=x",
        "wasmExecutor.settings.NO_SUCH=1",
        "wasmExecutor.settings.NODE_NAME=x",
        "image.pullPolicy=Sometimes",
        "wasmExecutor.resources.limits.cpu=1",
        "nodePool.kubeletPort.port=70000",
        "monitoring.podMonitors.label.a=b",
    ],
)
def test_a_value_that_means_nothing_is_refused(helm: Helm, option: str) -> None:
    said = helm("template", "wasmlet", str(CHART), "--set", option, check=False)
    assert "don't meet the specifications of the schema" in said


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("adminPorts.logServer=10250", "nodePool.kubeletPort.port are ports of one pod"),
        ("nats.monitorPort=4222", "nats.routePort are ports of one pod"),
        ("nodePool.priorityClass.name=", "priorityClass.name is needed"),
    ],
)
def test_values_that_contradict_each_other_are_refused(helm: Helm, option: str, said: str) -> None:
    assert said in helm("template", "wasmlet", str(CHART), "--set", option, check=False)


def test_the_schema_leaves_no_object_open() -> None:
    open_ones = list(_open_objects(json.loads((CHART / "values.schema.json").read_text()), "$"))
    assert open_ones == []


def _open_objects(part: Any, at: str) -> Any:
    if isinstance(part, dict):
        if part.get("type") == "object" and "additionalProperties" not in part:
            yield at
        for key, each in part.items():
            yield from _open_objects(each, f"{at}.{key}")
    if isinstance(part, list):
        for number, each in enumerate(part):
            yield from _open_objects(each, f"{at}[{number}]")


def test_a_setting_of_a_million_stays_a_whole_number(helm: Helm) -> None:
    option = "wasmExecutor.settings.RESERVED_MEMORY_BYTES=268435456"
    objects = helm.render("-f", DEFAULT, "--set", option)
    (executor,) = (each for each in services(objects) if each["name"] == "wasm-executor")
    assert settings(executor)["RESERVED_MEMORY_BYTES"] == "268435456"


def test_each_executor_is_a_user_of_its_own_node(helm: Helm) -> None:
    objects = helm.render("-f", DEFAULT)
    config = json.loads(named(objects, "Secret", "nats-config")["stringData"]["nats.conf"])
    users = {each["user"]: each for each in config["authorization"]["users"]}
    assert set(users) == {
        *("node-registrar", "pod-reconciler", "log-server"),
        *("wasm-executor-wasm-worker-1", "wasm-executor-wasm-worker-2_example"),
    }
    executor = users["wasm-executor-wasm-worker-1"]
    subjects = executor["permissions"]["publish"]["allow"]
    assert subjects
    assert all(each.split(".")[3] == "wasm-worker-1" for each in subjects)
    passwords = named(objects, "Secret", "nats-passwords")["stringData"]
    assert passwords["executor.worker-1"] == executor["password"]
    assert len(set(passwords.values())) == len(passwords)


@pytest.mark.parametrize("file", ["default", "observed"])
def test_nats_reads_its_configuration(helm: Helm, tmp_path: Path, file: str) -> None:
    """One server, and one of three: routes, users and certificates as rendered."""
    objects = helm.render("-f", str(CHART / "ci" / f"{file}-values.yaml"))
    for name, content in named(objects, "Secret", "nats-tls")["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(content))
    config = named(objects, "Secret", "nats-config")["stringData"]["nats.conf"]
    (tmp_path / "nats.conf").write_text(config.replace("/etc/nats-tls", str(tmp_path)))
    command = [str(Path(sys.executable).with_name("nats-server")), "-t", "-c", "nats.conf"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
