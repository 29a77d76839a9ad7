"""What the tests of pods' lives share: a module for every part, and pods made of parts."""

from collections.abc import Callable
from typing import Any

import pytest
from e2e.images import Images
from e2e.obedient import NAME, obedient, part
from e2e.pods import RUNTIME_CLASS, Pods

type Part = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def image(images: Images) -> str:
    return images.push(obedient(), NAME)


@pytest.fixture
def play(image: str) -> Part:
    """A container of that image: its name, its arguments, its other fields."""

    def make(name: str, *args: str, **more: Any) -> dict[str, Any]:
        return part(name, image, *args, **more)

    return make


@pytest.fixture
def create(pods: Pods) -> Callable[..., dict[str, Any]]:
    """Creates a pod of these containers; other fields of the spec by name."""

    def make(name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
        spec = {"runtimeClassName": RUNTIME_CLASS, "restartPolicy": "Never"} | spec
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {**spec, "containers": list(containers)},
        }
        return pods.create(manifest)

    return make
