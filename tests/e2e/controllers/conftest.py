"""One namespace for all tests of controllers; each test leaves it empty."""

from collections.abc import Iterator

import pytest
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods
from e2e.running_wasmlet import RunningWasmlet
from e2e.workloads import Workloads

from controlplane import ControlPlane

NAMESPACE = "controllers"


@pytest.fixture(scope="session")
def shared_workloads(
    control_plane: ControlPlane, api: Api, wasmlet_up: RunningWasmlet
) -> Iterator[Workloads]:
    """The namespace, as long as the Nodes run."""
    path = f"/api/v1/namespaces/{NAMESPACE}"
    api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    eventually(lambda: api.find(f"{path}/serviceaccounts/default"))
    pods = Pods(control_plane, api, NAMESPACE)
    assert wasmlet_up.process.is_running
    yield Workloads(control_plane, api, pods)
    pods.remove_all()
    api.delete(path)


@pytest.fixture
def workloads(shared_workloads: Workloads) -> Iterator[Workloads]:
    yield shared_workloads
    shared_workloads.remove_all()


@pytest.fixture(scope="session")
def first_image(images: Images) -> str:
    """Says `first` and sleeps."""
    return images.push(guests.sleeps("first\n"), "controllers", "first")


@pytest.fixture(scope="session")
def second_image(images: Images) -> str:
    """Says `second` and sleeps."""
    return images.push(guests.sleeps("second\n"), "controllers", "second")
