"""Fixtures of the end-to-end tests: everything real, made once where that is slow."""

import itertools
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from e2e.api import Api
from e2e.evidence import Evidence
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane, Registry

# A registry that stalls so long has failed; the default is longer than a test.
PULL_STALL_TIMEOUT_S = 2
HERE = Path(__file__).parent
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    evidence = Evidence()
    try:
        return (yield)
    except BaseException:
        for title, text in evidence.sections():
            item.add_report_section("call", title, text)
        raise


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One control plane for all tests that do not disturb it, with our roles applied."""
    with ControlPlane(tmp_path_factory.mktemp("control plane")) as plane:
        plane.deploy()
        yield plane


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Iterator[Api]:
    """The administrator's requests."""
    with Api(control_plane) as api:
        yield api


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """One registry in plain HTTP for all tests that do not disturb it."""
    with Registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="session")
def images(registry: Registry) -> Iterator[Images]:
    """Puts modules into that registry."""
    with Images(registry) as images:
        yield images


@pytest.fixture(scope="session")
def private_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Another one, which wants a login; a test may freeze it if it wakes it again."""
    with Registry(tmp_path_factory.mktemp("private registry"), login=True) as registry:
        yield registry


@pytest.fixture(scope="session")
def wasmlet_up(
    control_plane: ControlPlane,
    registry: Registry,
    private_registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningWasmlet]:
    """Two Nodes for all tests that do not disturb them."""
    wasmlet = RunningWasmlet(
        control_plane,
        tmp_path_factory.mktemp("wasmlet") / "up",
        node_name="e2e",
        nodes=2,
        options=[
            *("--log-level", "info"),  # a failed test shows it
            *("--insecure-registry", registry.host),
            *("--insecure-registry", private_registry.host),
            *("--set", "wasm-executor:GUEST_SOCKETS=true"),
            *("--set", f"wasm-executor:PULL_STALL_TIMEOUT_S={PULL_STALL_TIMEOUT_S}"),
        ],
    )
    wasmlet.start()
    yield wasmlet
    wasmlet.stop()


@pytest.fixture
def pods(control_plane: ControlPlane, api: Api) -> Iterator[Pods]:
    """A namespace of the test's own; its pods are gone after it, in any case."""
    name = f"test-{next(_numbers)}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    eventually(lambda: api.find(account))  # without it the API server refuses pods
    pods = Pods(control_plane, api, name)
    yield pods
    pods.remove_all()
    api.delete(f"/api/v1/namespaces/{name}")
