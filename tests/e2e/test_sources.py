"""What pods name in the API, on its whole way: read, refreshed, renewed, and seen by a guest."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from e2e.api import Api
from e2e.expectations import eventually
from e2e.following import follows_file
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet, joined

from controlplane import ControlPlane, Registry
from wasmlet.up.folders import run_folders

NODE = "sources"
PERIOD_S = 4.0
LATEST_S = 1.5 * PERIOD_S
LARGE_BYTES = 1_000_000
"""Near the most that the API server takes: a mebibyte, names included."""
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(scope="module", autouse=True)
def node(
    control_plane: ControlPlane,
    api: Api,
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningWasmlet]:
    """A Node whose reconciler reads again soon."""
    settings = {"pod-reconciler:OBJECTS_PERIOD_S": PERIOD_S, "pod-reconciler:OBJECTS_RETRY_S": 1}
    folder, hosts = tmp_path_factory.mktemp("sources") / "up", [registry.host]
    with joined(
        control_plane, api, folder, node_name=NODE, registries=hosts, settings=settings
    ) as node:
        yield node


@pytest.fixture
def follower(images: Images) -> str:
    return images.push(follows_file(), "follower")


def following(name: str, image: str, path: str, *volumes: Any) -> dict[str, Any]:
    """A pod whose guest writes what the file holds that one of its volumes has at this path."""
    manifest = pod(name, image, args=[path])
    manifest["spec"]["nodeSelector"] = {"kubernetes.io/hostname": NODE}
    manifest["spec"]["automountServiceAccountToken"] = False
    manifest["spec"]["volumes"] = list(volumes)
    mounts = [{"name": each["name"], "mountPath": f"/in/{each['name']}"} for each in volumes]
    manifest["spec"]["containers"][0]["volumeMounts"] = mounts
    return manifest


def put(api: Api, pods: Pods, plural: str, name: str, **fields: Any) -> None:
    body = {"metadata": {"name": name}, **fields}
    api.create(f"/api/v1/namespaces/{pods.namespace}/{plural}", body)


def change(api: Api, pods: Pods, plural: str, name: str, **fields: Any) -> None:
    api.patch(f"/api/v1/namespaces/{pods.namespace}/{plural}/{name}", fields)


def says(pods: Pods, name: str, last: str) -> None:
    """Wait until the guest runs and has seen this last."""
    pods.await_phase(name, "Running")

    def newest() -> bool:
        lines = pods.logs(name).splitlines()
        assert lines[-1:] == [last], f"{name}: {lines}"
        return True

    eventually(newest)


def seen_at(pods: Pods, name: str) -> datetime:
    """When the guest wrote its last line, as its log says."""
    *_, last = pods.logs(name, "--timestamps").splitlines()
    return datetime.fromisoformat(last.partition(" ")[0])


def first_word(pods: Pods, name: str) -> str:
    """What the guest has seen at first."""
    pods.await_phase(name, "Running")
    return eventually(lambda: pods.logs(name).strip())


def test_a_change_reaches_running_guests_within_one_and_a_half_periods(
    pods: Pods, api: Api, follower: str
) -> None:
    put(api, pods, "configmaps", "settings", data={"color": "blue"})
    put(api, pods, "secrets", "keys", stringData={"key": "old"})
    settings = {"name": "v", "configMap": {"name": "settings"}}
    keys = {"name": "v", "secret": {"secretName": "keys"}}
    for name in ("first", "second"):
        pods.create(following(name, follower, "color", settings))
    pods.create(following("third", follower, "key", keys))
    for name, content in (("first", "blue"), ("second", "blue"), ("third", "old")):
        says(pods, name, content)

    change(api, pods, "configmaps", "settings", data={"color": "green"})
    change(api, pods, "secrets", "keys", stringData={"key": "new"})
    changed_at = datetime.now(UTC)
    for name, content in (("first", "green"), ("second", "green"), ("third", "new")):
        says(pods, name, content)
        assert (seen_at(pods, name) - changed_at).total_seconds() <= LATEST_S


def test_large_contents_reach_a_node_once_however_many_pods_use_them(
    pods: Pods, api: Api, follower: str, node: RunningWasmlet
) -> None:
    names = ("north", "east", "south", "west")
    for name in names:
        put(api, pods, "configmaps", name, data={"bulk": name.ljust(LARGE_BYTES, ".")})
    volumes = [{"name": name, "configMap": {"name": name}} for name in names]
    for name in ("one", "two"):
        pods.create(following(name, follower, "bulk", *volumes))
    for name in ("one", "two"):
        assert first_word(pods, name).rstrip(".") in names
    (run,) = run_folders(node.data_dir)
    blobs = [path.stat() for path in run.glob("nodes/*/volumes/blobs/*")]
    large = [each for each in blobs if each.st_size == LARGE_BYTES]
    assert [each.st_nlink for each in large] == [3] * len(names), "here, and in two pods"


def test_what_is_optional_may_come_later_and_go_again(pods: Pods, api: Api, follower: str) -> None:
    late = {"name": "v", "configMap": {"name": "late", "optional": True}}
    pods.create(following("patient", follower, "color", late))
    says(pods, "patient", "")
    put(api, pods, "configmaps", "late", data={"color": "blue"})
    says(pods, "patient", "blue")
    api.delete(f"/api/v1/namespaces/{pods.namespace}/configmaps/late")
    says(pods, "patient", "")


def test_a_pod_waits_for_a_mandatory_source_and_says_so_as_a_kubelet_does(
    pods: Pods, api: Api, follower: str
) -> None:
    pods.create(following("waits", follower, "color", {"name": "v", "configMap": {"name": "no"}}))
    told = ("FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "no" not found')
    eventually(lambda: told in pods.events("waits"))
    eventually(lambda: pods.conditions("waits").get("PodReadyToStartContainers") == "False")
    assert pods.container("waits")["state"]["waiting"]["reason"] == "ContainerCreating"

    put(api, pods, "configmaps", "no", data={"color": "blue"})
    says(pods, "waits", "blue")
    assert pods.conditions("waits")["PodReadyToStartContainers"] == "True"


def test_a_token_is_good_for_the_api_server_as_long_as_its_pod_is_there(
    pods: Pods, control_plane: ControlPlane, follower: str
) -> None:
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}}
    volume = {"name": "v", "projected": {"sources": [source]}}
    created = pods.create(following("bearer", follower, "token", volume))
    token = first_word(pods, "bearer")

    who = whoami(control_plane, token)
    assert who["username"] == f"system:serviceaccount:{pods.namespace}:default"
    assert who["extra"]["authentication.kubernetes.io/pod-name"] == ["bearer"]
    assert who["extra"]["authentication.kubernetes.io/pod-uid"] == [created["metadata"]["uid"]]

    pods.delete("bearer", grace_s=0)
    eventually(lambda: pods.is_gone("bearer"))
    eventually(lambda: whoami(control_plane, token) == {})


def whoami(plane: ControlPlane, token: str) -> dict[str, Any]:
    """Who the API server takes the bearer of a token for; nobody where it refuses it."""
    answer = httpx.post(
        f"{plane.server}/apis/authentication.k8s.io/v1/selfsubjectreviews",
        json={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
        headers={"Authorization": f"Bearer {token}"},
        verify=ssl.create_default_context(cafile=str(plane.authority)),
        trust_env=False,
    )
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return {}
    user: dict[str, Any] = answer.raise_for_status().json()["status"]["userInfo"]
    return user


@pytest.mark.parametrize("file", ["token", "ca.crt", "namespace"])
def test_a_service_accounts_files_are_there_unless_the_pod_wants_none(
    pods: Pods, control_plane: ControlPlane, follower: str, file: str
) -> None:
    with_token = following("with", follower, file)
    del with_token["spec"]["automountServiceAccountToken"]
    mounted = pods.create(with_token)["spec"]["containers"][0]["volumeMounts"]
    assert [each["mountPath"] for each in mounted] == [ACCOUNT]
    pods.create(following("without", follower, file))
    shown = first_word(pods, "with")
    says(pods, "without", "")
    match file:
        case "namespace":
            assert shown == pods.namespace
        case "ca.crt":
            assert shown == control_plane.authority.read_text().strip()
        case _:
            username = whoami(control_plane, shown)["username"]
            assert username == f"system:serviceaccount:{pods.namespace}:default"
