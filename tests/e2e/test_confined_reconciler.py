"""A reconciler that may read the objects of one namespace alone, by its settings and its roles."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane, Registry
from controlplane.plane import DEPLOY

CONFINED = "shop"
ELSEWHERE = "garden"
RECONCILER = "--as=system:serviceaccount:wasmlet-system:pod-reconciler"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own, for roles are the whole cluster's; `up` applies them."""
    with ControlPlane(tmp_path_factory.mktemp("confined plane")) as plane:
        plane.kubectl("apply", "-f", str(DEPLOY / "runtimeclass.yaml"))
        for name in (CONFINED, ELSEWHERE):
            plane.kubectl("create", "namespace", name)
        yield plane


@pytest.fixture(scope="module", autouse=True)
def node(
    plane: ControlPlane, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningWasmlet]:
    options = ["--insecure-registry", registry.host]
    options += ["--set", f"pod-reconciler:NAMESPACES={CONFINED}"]
    folder = tmp_path_factory.mktemp("confined") / "up"
    wasmlet = RunningWasmlet(plane, folder, node_name="confined", options=options)
    wasmlet.start()
    yield wasmlet
    wasmlet.stop()


@pytest.fixture
def spaces(plane: ControlPlane) -> Iterator[dict[str, Pods]]:
    with Api(plane) as api:
        spaces = {name: Pods(plane, api, name) for name in (CONFINED, ELSEWHERE)}
        for name in spaces:
            account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
            eventually(partial(api.find, account))
            config = {"metadata": {"name": "settings"}, "data": {"color": "blue"}}
            api.create(f"/api/v1/namespaces/{name}/configmaps", config)
        yield spaces
        for name, pods in spaces.items():
            pods.remove_all()
            api.delete(f"/api/v1/namespaces/{name}/configmaps/settings")


def colored(name: str, image: str) -> dict[str, Any]:
    reference = {"configMapKeyRef": {"name": "settings", "key": "color"}}
    return pod(name, image, env=[{"name": "COLOR", "valueFrom": reference}])


def test_a_confined_reconciler_serves_its_namespace_and_says_so_elsewhere(
    spaces: dict[str, Pods], images: Images
) -> None:
    image = images.push(guests.shows_environment(), "environment")
    near, far = spaces[CONFINED], spaces[ELSEWHERE]
    near.create(colored("near", image))
    near.await_phase("near", "Succeeded")
    shown = near.logs("near").splitlines()
    assert "COLOR=blue" in shown
    assert "KUBERNETES_SERVICE_PORT=443" in shown

    plain = pod("plain", image)
    plain["spec"]["automountServiceAccountToken"] = False
    far.create(plain)
    far.await_phase("plain", "Succeeded")
    unserved = colored("unserved", image)
    unserved["spec"]["automountServiceAccountToken"] = False
    far.create(unserved)
    waiting = far.await_waiting("unserved", "CreateContainerConfigError")
    problem = f'namespace "{ELSEWHERE}" is not among the namespaces whose objects this reconciler'
    assert problem in waiting["message"]
    far.create(colored("tokened", image))

    def told() -> bool:
        messages = [text for reason, text in far.events("tokened") if reason == "FailedMount"]
        assert any(problem in text for text in messages), messages
        return True

    eventually(told)


@pytest.mark.parametrize(
    "question",
    [
        ("get", "secrets"),
        ("get", "configmaps"),
        ("create", "serviceaccounts", "--subresource=token"),
    ],
)
def test_a_confined_reconciler_has_its_rights_in_its_namespace_alone(
    plane: ControlPlane, spaces: dict[str, Pods], question: tuple[str, ...]
) -> None:
    may = {
        name: plane.kubectl(
            "auth", "can-i", *question, f"--namespace={name}", RECONCILER, check=False
        ).stdout.strip()
        for name in spaces
    }
    assert may == {CONFINED: "yes", ELSEWHERE: "no"}


def test_a_wasmlet_up_beside_a_chart_that_confines_it_widens_no_right(
    plane: ControlPlane, tmp_path: Path
) -> None:
    """The chart shows itself by a ConfigMap; without it, an `up` applies the roles as they are."""
    mark = ("configmap", "wasmlet-installation", "--namespace=wasmlet-system")
    plane.kubectl("create", *mark)
    beside = RunningWasmlet(plane, tmp_path / "up", node_name="beside")
    try:
        beside.start()
    finally:
        beside.stop()
        plane.kubectl("delete", *mark)
    asked = ("auth", "can-i", "get", "secrets", f"--namespace={ELSEWHERE}", RECONCILER)
    assert plane.kubectl(*asked, check=False).stdout.strip() == "no"


def test_a_wasmlet_up_takes_no_roles_from_an_installation_elsewhere(
    plane: ControlPlane, tmp_path: Path
) -> None:
    name = ("clusterrolebinding", "wasmlet-node-registrar")

    def serve(namespace: str) -> None:
        path = "/subjects/0/namespace"
        change = [{"op": "replace", "path": path, "value": namespace}]
        plane.kubectl("patch", *name, "--type=json", f"--patch={json.dumps(change)}")

    serve(ELSEWHERE)
    beside = RunningWasmlet(plane, tmp_path / "up", node_name="apart")
    try:
        beside.start()
        assert f"serve an installation in {ELSEWHERE}: every service uses" in beside.output()
        (subject,) = plane.kubectl.get(*name)["subjects"]
        assert subject["namespace"] == ELSEWHERE
    finally:
        beside.stop()
        serve("wasmlet-system")
