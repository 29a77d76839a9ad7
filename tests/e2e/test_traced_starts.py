"""A pod's start as one trace of two services, at a real receiver; and nothing of it when off."""

import asyncio
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from e2e import guests
from e2e.anatomy import Anatomy, Part
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.processes import Process
from e2e.running_wasmlet import RunningWasmlet, joined
from e2e.starts import PARENTS
from nats.aio.msg import Msg
from trace_collector import Collector, ReceivedSpan

from contract.ids import NodeName
from contract.messages.pod import PodApply
from contract.messages.report import PodReported
from contract.subjects import Role, subscription_for
from controlplane import ControlPlane, Registry
from servicekit.bus import connected
from servicekit.settings import ServiceSettings

NODE = "traced"
TRACING = (Part.RECONCILER, Part.SUPERVISOR)
HEARD = (
    (Part.SUPERVISOR, Role.WASM_EXECUTOR, PodApply),
    (Part.RECONCILER, Role.POD_RECONCILER, PodReported),
)
"""The message, who hears it, and from whom the test has a password to do the same."""
RECORDER = "google/_upb"
"""The compiled part of what records traces: who has imported that has it in its memory."""
IN_ORDER = (
    ("pod.start", "pod.admit", "sources.read", "pod.plan", "bus.apply", "pod.run"),
    ("pod.run", "image.prepare", "image.pull", "image.compile", "container.create"),
    ("volumes.make", "container.create", "container.start", "status.write"),
)
"""Each begins before the next one does."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(
    control_plane: ControlPlane,
    api: Api,
    registry: Registry,
    collector: Collector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningWasmlet]:
    with joined(
        control_plane,
        api,
        tmp_path_factory.mktemp("traced") / "up",
        node_name=NODE,
        registries=[registry.host],
        settings={
            "pod-reconciler:TRACES_ENDPOINT": collector.url,
            "wasm-executor:TRACES_ENDPOINT": collector.url,
        },
        options=("--log-level", "info"),
    ) as wasmlet:
        yield wasmlet


def placed(name: str, image: str, node: str = NODE, **container: Any) -> dict[str, Any]:
    manifest = pod(name, image, **container)
    manifest["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    return manifest


def trace_of(collector: Collector, uid: str) -> list[ReceivedSpan]:
    """All spans of a pod's start, once its first and its last ones are there."""

    def ask() -> list[ReceivedSpan]:
        spans = collector.spans
        own = [each for each in spans if each.attributes.get("k8s.pod.uid") == uid]
        assert {each.name for each in own} == {"pod.start", "pod.run"}, own
        return [each for each in spans if each.trace_id == own[0].trace_id]

    return eventually(ask)


def uid_of(pods: Pods, name: str) -> str:
    return str(pods.get(name)["metadata"]["uid"])


def loaded(process: Process) -> bool:
    return RECORDER in Path(f"/proc/{process.pid}/maps").read_text()


def test_a_start_is_one_trace_of_both_services(
    traced: RunningWasmlet, collector: Collector, pods: Pods, images: Images, api: Api
) -> None:
    config = {"metadata": {"name": "settings"}, "data": {"color": "hunter2"}}
    api.create(f"/api/v1/namespaces/{pods.namespace}/configmaps", config)
    reference = {"configMapKeyRef": {"name": "settings", "key": "color"}}
    manifest = placed(
        "one",
        images.push(guests.sleeps("asleep, and traced\n"), "traced"),
        args=["hunter2"],
        env=[{"name": "COLOR", "valueFrom": reference}],
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
    )
    manifest["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    pods.create(manifest)
    pods.await_phase("one", "Running")
    uid = uid_of(pods, "one")

    trace = trace_of(collector, uid)
    by_id = {each.span_id: each for each in trace}
    spans = {each.name: each for each in sorted(trace, key=lambda each: each.began_ns)}
    parents = {each.name: by_id[each.parent_id].name for each in trace if each.name != "pod.start"}
    assert parents == PARENTS
    assert spans["pod.start"].parent_id == ""
    assert [each.error for each in trace if each.error] == []
    told = {"k8s.pod.name": "one", "k8s.namespace.name": pods.namespace, "k8s.pod.uid": uid}
    for name, service in (("pod.start", "pod-reconciler"), ("pod.run", "wasm-executor")):
        assert spans[name].service == service
        assert spans[name].attributes.items() >= {**told, "k8s.node.name": NODE}.items()
    for names in IN_ORDER:
        began = [spans[name].began_ns for name in names]
        assert began == sorted(began), names
    for each in trace:
        assert each.began_ns <= each.ended_ns
    assert spans["status.write"].ended_ns <= spans["pod.start"].ended_ns
    assert not any(b"hunter2" in body for body in collector.bodies)
    lines = [line for line in traced.output().splitlines() if spans["pod.start"].trace_id in line]
    assert any("container.moved" in line for line in lines)
    assert any("status.written" in line for line in lines)
    assert all(loaded(Anatomy(traced).get(part)) for part in TRACING)


@pytest.mark.usefixtures("traced")
def test_a_start_that_comes_to_nothing_says_so(
    collector: Collector, pods: Pods, images: Images
) -> None:
    pods.create(placed("none", f"{images.registry.host}/no-such:1"))
    pods.await_waiting("none", "ErrImagePull")
    uid = uid_of(pods, "none")
    pods.delete("none")
    trace = trace_of(collector, uid)
    errors = {(each.name, each.error) for each in trace if each.error}
    assert errors >= {("image.prepare", "ErrImagePull"), ("pod.run", "Abandoned")}
    assert ("pod.start", "Deleted") in errors


def metric(wasmlet: RunningWasmlet, service: str, outcome: str) -> float:
    """What the admin port of a service counts of its spans."""
    port = re.findall(rf"admin\.listening .*port=(\d+) service={service}", wasmlet.output())[-1]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    name = re.escape(f'wasmlet_trace_spans_total{{outcome="{outcome}"}}')
    return sum(float(each) for each in re.findall(rf"^{name} (\S+)$", text, re.MULTILINE))


def test_without_a_collector_pods_start_and_spans_are_counted(
    traced: RunningWasmlet, collector: Collector, pods: Pods, images: Images
) -> None:
    image = images.push(guests.sleeps("asleep, unseen\n"), "untraced")
    collector.answer = 500
    try:
        pods.create(placed("unseen", image))
        pods.await_phase("unseen", "Running")
        for service in ("pod-reconciler", "wasm-executor"):
            eventually(partial(metric, traced, service, "failed"))
    finally:
        collector.answer = 200
    assert "traces.lost" in traced.output()
    pods.create(placed("seen", image))
    pods.await_phase("seen", "Running")
    assert trace_of(collector, uid_of(pods, "seen"))
    assert "traces.taken_again" in traced.output()


async def headers_of_a_start(
    wasmlet: RunningWasmlet, node: str, start: Callable[[], None]
) -> set[str]:
    """What headers the plan of a pod and a report of it have, as the server hands them over."""
    anatomy, heard = Anatomy(wasmlet), asyncio.Queue[Msg]()
    found: set[str] = set()
    async with AsyncExitStack() as stack:
        for part, role, kind in HEARD:
            environment = anatomy.get(part, node if part is Part.SUPERVISOR else "").environment
            settings = ServiceSettings(
                nats_url=environment["WASMLET_NATS_URL"],
                nats_password_file=Path(environment["WASMLET_NATS_PASSWORD_FILE"]),
            )
            of_node = NodeName(node) if role is Role.WASM_EXECUTOR else None
            bus = await stack.enter_async_context(connected(settings, role, of_node))
            client = bus._control.client
            await client.subscribe(subscription_for(kind, NodeName(node)), cb=heard.put)
            await client.flush()
        await asyncio.to_thread(start)
        for _ in HEARD:
            found |= set((await asyncio.wait_for(heard.get(), 30)).headers or {})
    return found


def test_switched_off_there_is_no_header_and_nothing_is_imported(
    wasmlet_up: RunningWasmlet, traced: RunningWasmlet, pods: Pods, images: Images
) -> None:
    image = images.push(guests.sleeps("asleep, off\n"), "off")
    expected: set[str] = set()
    for wasmlet in (wasmlet_up, traced):
        node = wasmlet.nodes[0]

        def start(node: str = node) -> None:
            pods.create(placed(node, image, node))
            pods.await_phase(node, "Running")

        assert asyncio.run(headers_of_a_start(wasmlet, node, start)) == expected
        expected = {"traceparent"}
    anatomy = Anatomy(wasmlet_up)
    off = [anatomy.get(Part.RECONCILER), anatomy.get(Part.SUPERVISOR, wasmlet_up.nodes[0])]
    assert [loaded(each) for each in off] == [False, False]
