"""Private images end to end: TLS with a login, and tokens from a server of its own."""

import base64
import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from e2e import guests, token_server
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet, joined
from e2e.token_server import TokenServer

from controlplane import ControlPlane, Registry

NODE = "private"
MISSING = (
    "Unable to retrieve some image pull secrets (nowhere); "
    "attempting to pull the image may not succeed."
)


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """In TLS, with a login, and with two images."""
    with Registry(tmp_path_factory.mktemp("private"), tls=True, login=True) as registry:
        with Images(registry) as images:
            for name in ("team/app", "team/rotated"):
                images.push(guests.prints(f"{name}\n"), name)
        yield registry


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    with TokenServer(tmp_path_factory.mktemp("tokens")) as server:
        yield server


@pytest.fixture(scope="module")
def token_registry(
    tokens: TokenServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """What was pushed before it wanted tokens."""
    folder = tmp_path_factory.mktemp("token registry")
    with Registry(folder) as open_registry, Images(open_registry) as images:
        images.push(guests.prints("by token\n"), "app")
    with Registry(folder, auth=tokens.auth()) as registry:
        yield registry


@pytest.fixture(scope="module")
def node(
    control_plane: ControlPlane,
    api: Api,
    private: Registry,
    token_registry: Registry,
    tokens: TokenServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningWasmlet]:
    settings = {
        "wasm-executor:REGISTRY_CA_FILE": private.authority,
        "wasm-executor:REGISTRY_TOKEN_HOSTS": tokens.host,
        "wasm-executor:IMAGE_DELAY_S": 0.5,
        "wasm-executor:ERROR_SHOWN_S": 0.5,
        "pod-reconciler:OBJECTS_PERIOD_S": 1,
        "pod-reconciler:OBJECTS_RETRY_S": 1,
    }
    folder, hosts = (
        tmp_path_factory.mktemp("private node") / "up",
        (token_registry.host, tokens.host),
    )
    with joined(
        control_plane, api, folder, node_name=NODE, registries=hosts, settings=settings
    ) as node:
        yield node


@pytest.fixture
def run(node: RunningWasmlet, pods: Pods) -> Any:  # noqa: ARG001  # the node is to run
    """Create a pod on that Node, with these pull secrets."""

    def create(
        name: str, image: str, *secrets: str, volumes: Sequence[Any] = (), **container: Any
    ) -> None:
        manifest = pod(name, image, **container)
        manifest["spec"]["volumes"] = list(volumes)
        manifest["spec"]["nodeSelector"] = {"kubernetes.io/hostname": NODE}
        manifest["spec"]["imagePullSecrets"] = [{"name": each} for each in secrets]
        pods.create(manifest)

    return create


def login_of(registry: Registry) -> tuple[str, str]:
    assert registry.login is not None
    return registry.login


def docker_config(place: str, username: str, password: str) -> dict[str, Any]:
    """What `kubectl create secret docker-registry` makes."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    content = json.dumps({"auths": {place: {"auth": pair}}})
    return {
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": content},
    }


def put_secret(api: Api, pods: Pods, name: str, secret: dict[str, Any]) -> None:
    path = f"/api/v1/namespaces/{pods.namespace}/secrets"
    api.create(path, {"metadata": {"name": name}, **secret})


def test_a_private_image_runs_for_those_who_have_its_secret_and_for_nobody_else(
    run: Any, pods: Pods, api: Api, private: Registry
) -> None:
    image = f"{private.host}/team/app:v1"
    put_secret(api, pods, "keys", docker_config(f"{private.host}/team", *login_of(private)))
    mounted = {"name": "v", "image": {"reference": image}}
    mounts = [{"name": "v", "mountPath": "/v"}]
    run("has", image, "nowhere", "keys", volumes=[mounted], volumeMounts=mounts)
    pods.await_phase("has", "Succeeded")
    assert pods.logs("has") == "team/app\n"
    eventually(lambda: ("FailedToRetrieveImagePullSecret", MISSING) in pods.events("has"))
    run("has-not", image, imagePullPolicy="IfNotPresent")
    run("never", image, imagePullPolicy="Never")
    told = pods.await_waiting("has-not", "ErrImagePull")["message"]
    assert told.endswith("401 Unauthorized (no image pull secret of the pod is for this registry)")
    assert pods.await_waiting("never", "ErrImageNeverPull")["message"] == (
        f'Container image "{image}" is not present with pull policy of Never'
    )
    run("has-too", image, "keys", imagePullPolicy="Never")
    pods.await_phase("has-too", "Succeeded")


def test_a_secret_that_is_put_right_is_used_by_the_next_pull(
    run: Any, pods: Pods, api: Api, private: Registry
) -> None:
    wrong = docker_config(private.host, login_of(private)[0], "guess")
    put_secret(api, pods, "keys", wrong)
    run("waits", f"{private.host}/team/rotated:v1", "keys")
    told = pods.await_waiting("waits", "ImagePullBackOff")["message"]
    assert "the registry does not accept the pod's image pull secrets" in told
    assert "guess" not in told
    right = docker_config(private.host, *login_of(private))
    api.patch(f"/api/v1/namespaces/{pods.namespace}/secrets/keys", right)
    pods.await_phase("waits", "Succeeded")


def test_a_service_accounts_pull_secrets_are_its_pods(
    run: Any, pods: Pods, api: Api, private: Registry
) -> None:
    put_secret(api, pods, "keys", docker_config(private.host, *login_of(private)))
    account = f"/api/v1/namespaces/{pods.namespace}/serviceaccounts/default"
    api.patch(account, {"imagePullSecrets": [{"name": "keys"}]})

    def is_given() -> bool:
        """The API server's admission learns of accounts by a watch."""
        name = f"app-{len(pods.all())}"
        run(name, f"{private.host}/team/app:v1")
        return "imagePullSecrets" in pods.get(name)["spec"]

    eventually(is_given)
    last = max(pods.all(), key=lambda each: str(each["metadata"]["name"]))["metadata"]["name"]
    pods.await_phase(last, "Succeeded")


def test_tokens_are_bought_where_the_registry_says_and_the_node_allows(
    run: Any, pods: Pods, api: Api, token_registry: Registry, tokens: TokenServer
) -> None:
    image = f"{token_registry.host}/app:v1"
    login = (token_server.USERNAME, token_server.PASSWORD)
    put_secret(api, pods, "keys", docker_config(token_registry.host, *login))
    run("has-not", image)
    told = pods.await_waiting("has-not", "ErrImagePull")["message"]
    assert "failed to fetch anonymous token" in told
    run("has", image, "keys")
    pods.await_phase("has", "Succeeded")
    assert pods.logs("has") == "by token\n"
    assert all("repository%3Aapp%3Apull" in each for each in tokens.asked)
    for name in ("has", "has-not"):
        pods.delete(name, grace_s=0)
        eventually(partial(pods.is_gone, name))
