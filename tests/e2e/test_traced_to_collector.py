"""A pod's start as one trace at the real OpenTelemetry Collector, whose word it is that it is OTLP.

Everything else of traces is held against a receiver of the tests' own: test_traced_starts.py.
"""

from collections.abc import Iterator

import pytest
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.otel_collector import OtelCollector, WrittenSpan
from e2e.pods import Pods, pod
from e2e.running_wasmlet import joined
from e2e.starts import PARENTS

from controlplane import ControlPlane, Registry

NODE = "collected"
SERVICES = ("pod-reconciler", "wasm-executor")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtelCollector]:
    with OtelCollector(tmp_path_factory.mktemp("collector")) as collector:
        yield collector


@pytest.fixture(scope="module")
def node(
    control_plane: ControlPlane,
    api: Api,
    registry: Registry,
    collector: OtelCollector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Its name."""
    folder = tmp_path_factory.mktemp("collected") / "up"
    told = {f"{service}:TRACES_ENDPOINT": collector.url for service in SERVICES}
    hosts = [registry.host]
    with joined(control_plane, api, folder, node_name=NODE, registries=hosts, settings=told):
        yield NODE


def test_a_start_arrives_as_one_trace(
    node: str, collector: OtelCollector, pods: Pods, images: Images
) -> None:
    image = images.push(guests.sleeps("asleep, and collected\n"), "collected")
    manifest = pod("one", image, volumeMounts=[{"name": "v", "mountPath": "/v"}])
    manifest["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    manifest["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    uid = pods.create(manifest)["metadata"]["uid"]
    pods.await_phase("one", "Running")

    trace = eventually(lambda: trace_of(collector, uid))
    by_id = {each.span_id: each for each in trace}
    (first,) = (each for each in trace if not each.parent_id)
    assert first.name == "pod.start"
    parts = [each for each in trace if each is not first]
    assert {each.name: by_id[each.parent_id].name for each in parts} == PARENTS
    assert {each.status for each in trace} == {"Unset"}
    services = {each.name: each.service for each in trace}
    assert (services["pod.start"], services["pod.run"]) == SERVICES
    told = {"k8s.pod.name": "one", "k8s.namespace.name": pods.namespace, "k8s.node.name": node}
    assert first.attributes.items() >= told.items()


def trace_of(collector: OtelCollector, uid: str) -> list[WrittenSpan]:
    """The trace of this pod's start, once its first and its last spans are there."""
    spans = collector.spans()
    own = [each for each in spans if each.attributes.get("k8s.pod.uid") == uid]
    assert {each.name for each in own} == {"pod.start", "pod.run"}, own
    assert len({each.trace_id for each in own}) == 1, own
    return [each for each in spans if each.trace_id == own[0].trace_id]
