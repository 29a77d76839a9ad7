"""Guests that tell all they were given, byte for byte against what the kubelet's rules give.

The rules are in `worlds/*.yaml`, a pod each; all of the pods run at the same time.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.layered import DOCKER, OCI, Files, push_image
from e2e.pods import Pods
from e2e.running_wasmlet import RunningWasmlet, joined
from e2e.world_guest import Told, tells_all, told
from e2e.worlds import World, differences, filled, worlds
from e2e.writing import writes_file

from controlplane import ControlPlane, Registry

NODE = "worlds"
NAMESPACE = "worlds"
FOLDER = Path(__file__).parent / "worlds"
WORLDS = worlds(FOLDER)
ALL_DONE_WITHIN_S = 50.0
LAYERS: tuple[Files, ...] = (
    {"srv/data/kept": b"1", "srv/data/hidden": b"2", "srv/data/changed": b"old"},
    {
        "app/tells.wasm": tells_all(),
        "srv/data/.wh.hidden": b"",
        "srv/data/changed": b"new",
        "srv/linked": "/srv/data/changed",
    },
)
"""Of the images whose files hold the module."""
SETTINGS: dict[str, Any] = {
    "Entrypoint": ["/app/tells.wasm"],
    "Cmd": ["--ignored"],
    "Env": ["FROM=image", "SIDE=a=b"],
    "WorkingDir": "/srv/data",
}
ON_HOST = {"top": "at the top", "sub/f": "in sub", "of-parts/deep/f": "in deep"}


class Ran(NamedTuple):
    """The pods, when all are over."""

    pods: Pods
    known: dict[str, str]
    """What only the cluster knows."""
    by_name: dict[str, dict[str, str]]
    """The same of one pod."""

    def told(self, name: str) -> Told:
        return told(self.pods.logs(name))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pods name by hostPath."""
    folder = tmp_path_factory.mktemp("host")
    for path, content in ON_HOST.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return folder


@pytest.fixture(scope="module")
def namespace(control_plane: ControlPlane, api: Api) -> Iterator[Pods]:
    """With all objects in it before there is a Node: variables of Services are seen by a watch."""
    root = f"/api/v1/namespaces/{NAMESPACE}"
    api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    eventually(lambda: api.find(f"{root}/serviceaccounts/default"))
    for each in yaml.safe_load((FOLDER / "objects.yaml").read_text()):
        api.create(f"{root}/{each['kind'].lower()}s", each)
    pods = Pods(control_plane, api, NAMESPACE)
    yield pods
    pods.remove_all()
    api.delete(root)


@pytest.fixture(scope="module", autouse=True)
def node(
    control_plane: ControlPlane,
    api: Api,
    registry: Registry,
    namespace: Pods,  # noqa: ARG001 - it is there before the Node is
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningWasmlet]:
    """A Node with a resolver of its own, a cluster name server, and a folder for hostPath."""
    home = tmp_path_factory.mktemp("worlds")
    resolver = home / "resolv.conf"
    resolver.write_text("nameserver 192.0.2.53\nsearch node.test.\noptions timeout:1\n")
    given = {
        "wasm-executor:RESOLV_CONF": resolver,
        "wasm-executor:HOST_PATH_PREFIXES": folder,
        "wasm-executor:REGISTER_INTERVAL_S": "1",
        "pod-reconciler:CLUSTER_DNS": "10.96.0.10",
        "pod-reconciler:CLUSTER_DOMAIN": "c.test",
    }
    hosts = [registry.host]
    with joined(
        control_plane, api, home / "up", node_name=NODE, registries=hosts, settings=given
    ) as node:
        yield node


@pytest.fixture(scope="module")
def ran(namespace: Pods, images: Images, api: Api, folder: Path) -> Ran:
    """All pods of all worlds, run together."""
    image = images.push(tells_all(), "worlds")
    given = {
        "folder": str(folder),
        "writer": images.push(writes_file(), "writer"),
        "oci": push_image(images, "oci", LAYERS, OCI, **SETTINGS),
        "docker": push_image(images, "docker", LAYERS, DOCKER, **SETTINGS),
    }
    for world in WORLDS:
        namespace.create(filled(world.manifest(image, NODE), given))

    def over() -> dict[str, dict[str, str]]:
        found = {each["metadata"]["name"]: each for each in namespace.all()}
        phases = {name: each["status"].get("phase") for name, each in found.items()}
        assert set(phases.values()) <= {"Succeeded", "Failed"}, phases
        return {name: _known_of(each) for name, each in found.items()}

    by_name = eventually(over, ALL_DONE_WITHIN_S)
    root = f"/api/v1/namespaces/{NAMESPACE}"
    kubernetes = api.get("/api/v1/namespaces/default/services/kubernetes")
    known = {
        "namespace": NAMESPACE,
        "node": NODE,
        "web": api.get(f"{root}/services/web-api")["spec"]["clusterIP"],
        "kubernetes": kubernetes["spec"]["clusterIP"],
        "authority": api.get(f"{root}/configmaps/kube-root-ca.crt")["data"]["ca.crt"],
    }
    return Ran(namespace, known, by_name)


def _known_of(pod: dict[str, dict[str, str]]) -> dict[str, str]:
    return {"uid": pod["metadata"]["uid"], "ip": pod["status"].get("podIP", "no address")}


def test_there_are_thirty_of_them() -> None:
    assert len({each.name for each in WORLDS}) == len(WORLDS) >= 30


@pytest.mark.parametrize("world", WORLDS, ids=[each.name for each in WORLDS])
def test_a_guest_sees_what_the_kubelets_rules_give(world: World, ran: Ran) -> None:
    found = ran.told(world.name)
    assert differences(world, ran.known | ran.by_name[world.name], found) == []


def test_name_servers_that_are_left_out_are_told_by_an_event(ran: Ran) -> None:
    expected = (
        "DNSConfigForming",
        (
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            "the applied nameserver line is: 10.96.0.10 1.1.1.1 2.2.2.2"
        ),
    )
    assert expected in eventually(lambda: ran.pods.events("too-many-servers"))


@pytest.mark.usefixtures("ran")
def test_the_node_shows_the_images_of_its_pods_with_their_digests(
    api: Api, images: Images, registry: Registry
) -> None:
    def shown() -> dict[str, int]:
        listed = api.get(f"/api/v1/nodes/{NODE}")["status"].get("images", [])
        sizes = {each["names"][1]: each["sizeBytes"] for each in listed}
        assert {f"{registry.host}/{name}:v1" for name in ("oci", "docker", "worlds")} <= set(sizes)
        by_name = {each["names"][1]: each["names"][0] for each in listed}
        digest = images.manifest_digest("worlds")
        assert by_name[f"{registry.host}/worlds:v1"] == f"{registry.host}/worlds@{digest}"
        return sizes

    sizes = eventually(shown)
    assert sizes[f"{registry.host}/worlds:v1"] == len(tells_all())
    assert list(sizes.values()) == sorted(sizes.values(), reverse=True)


def test_a_megabyte_of_variables_reaches_the_guest(ran: Ran, images: Images, api: Api) -> None:
    """The kernel would refuse a Linux container of that size: its argument list is too long."""
    values = {f"V{number}": f"{number}-".ljust(2000, "x") for number in range(250)}
    root = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    for half in ("a", "b"):
        data = {f"{half}_{name}": value for name, value in values.items()}
        api.create(root, {"metadata": {"name": f"half-{half}"}, "data": data})
    sources = [{"configMapRef": {"name": f"half-{half}"}} for half in ("a", "b")]
    world = World("a-megabyte", {"container": {"envFrom": sources}, "env": {}})
    ran.pods.create(world.manifest(images.push(tells_all(), "worlds"), NODE))
    ran.pods.await_phase("a-megabyte", "Succeeded")
    found = ran.told("a-megabyte").environment
    own = {name: value.decode() for name, value in found.items() if name[:2] in ("a_", "b_")}
    assert own == {f"{half}_{name}": value for half in "ab" for name, value in values.items()}
