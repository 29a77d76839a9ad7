"""A Node that allows a hostPath prefix and looks often; pods whose containers each do one thing.

The guest is the one of the executor's own tests: its first argument is the folder (a mount's path),
its second a letter: `r` reads a file, `w` writes one, `x` tries all that could change one.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.api import Api
from e2e.images import Images
from e2e.pods import RUNTIME_CLASS, Pods
from e2e.running_wasmlet import RunningWasmlet, joined
from wasmtime import wat2wasm

from controlplane import ControlPlane, Registry

NODE = "volumes"
SOURCE = Path(__file__).parents[3] / "services/wasm-executor/tests/support/guests/volumes.wat"

type Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def host_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pods may name by hostPath, with all below it."""
    return tmp_path_factory.mktemp("host-path")


@pytest.fixture(scope="session", autouse=True)
def node(
    control_plane: ControlPlane,
    api: Api,
    registry: Registry,
    host_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningWasmlet]:
    settings = {
        "wasm-executor:HOST_PATH_PREFIXES": host_folder,
        "wasm-executor:EVICTION_INTERVAL_S": 0.5,
        "pod-reconciler:OBJECTS_PERIOD_S": 2,
        "pod-reconciler:OBJECTS_RETRY_S": 1,
    }
    folder, hosts = tmp_path_factory.mktemp("volumes") / "up", [registry.host]
    with joined(
        control_plane, api, folder, node_name=NODE, registries=hosts, settings=settings
    ) as node:
        yield node


@pytest.fixture(scope="session")
def image(images: Images) -> str:
    return images.push(bytes(wat2wasm(SOURCE.read_text())), "volumes")


@pytest.fixture
def does(image: str) -> Make:
    """A container: its name, its arguments, `mounts` as (volume, path, more fields)."""

    def make(name: str, *args: str, mounts: list[tuple[Any, ...]], **more: Any) -> dict[str, Any]:
        shown = [
            {"name": volume, "mountPath": path, **(fields[0] if fields else {})}
            for volume, path, *fields in mounts
        ]
        return {"name": name, "image": image, "args": list(args), "volumeMounts": shown, **more}

    return make


@pytest.fixture
def create(pods: Pods) -> Make:
    """Creates a pod: its name, its containers, `volumes`; other fields of the spec by name."""

    def make(name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
        fixed = {
            "runtimeClassName": RUNTIME_CLASS,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "nodeSelector": {"kubernetes.io/hostname": NODE},
        }
        metadata = {"name": name, "labels": {"app": name}}
        spec = {**fixed, **spec, "containers": list(containers)}
        return pods.create({"metadata": metadata, "spec": spec})

    return make


@pytest.fixture
def put(pods: Pods, api: Api) -> Callable[..., None]:
    """Creates a ConfigMap or Secret: plural, name, other fields."""

    def make(plural: str, name: str, **fields: Any) -> None:
        path = f"/api/v1/namespaces/{pods.namespace}/{plural}"
        api.create(path, {"metadata": {"name": name}, **fields})

    return make
