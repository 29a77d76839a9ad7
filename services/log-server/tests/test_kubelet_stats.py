"""`/stats/summary` and `/metrics/*`: what an executor tells of use, in the kubelet's forms."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from log_server_usage import AT_MS, POD, SHOWN, WHOLE
from log_server_world import NODE, World, world
from prometheus_client.parser import text_string_to_metric_families

from contract.ids import PodUid
from contract.messages.usage import Counted, CountedSample
from log_server.domain.cadvisormetrics import cadvisor_metrics
from log_server.domain.exposition import Family, Kind, Sample, exposed
from log_server.domain.kubeletmetrics import kubelet_metrics
from log_server.domain.probemetrics import probe_metrics
from log_server.domain.resourcemetrics import resource_metrics
from log_server.domain.summary import summary


def test_resource_metrics_are_written_as_the_kubelet_writes_them() -> None:
    labels = 'container="app",namespace="default",pod="hello"'
    idle = 'container="idle",namespace="default",pod="hello"'
    expected = f"""\
# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{{{labels}}} 1.5 {AT_MS}
container_cpu_usage_seconds_total{{{idle}}} 1e-09 {AT_MS}
# HELP container_memory_working_set_bytes [STABLE] Current working set of the container in bytes
# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes{{{labels}}} 4.194304e+06 {AT_MS}
container_memory_working_set_bytes{{{idle}}} 4096 {AT_MS}
# HELP container_start_time_seconds [STABLE] Start time of the container since unix epoch in seconds
# TYPE container_start_time_seconds gauge
container_start_time_seconds{{{labels}}} 1.767323045e+09
container_start_time_seconds{{{idle}}} 1.767323045e+09
# HELP node_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the node in core-seconds
# TYPE node_cpu_usage_seconds_total counter
node_cpu_usage_seconds_total 9 {AT_MS}
# HELP node_memory_working_set_bytes [STABLE] Current working set of the node in bytes
# TYPE node_memory_working_set_bytes gauge
node_memory_working_set_bytes 2.097152e+08 {AT_MS}
# HELP pod_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the pod in core-seconds
# TYPE pod_cpu_usage_seconds_total counter
pod_cpu_usage_seconds_total{{namespace="default",pod="hello"}} 2.000000001 {AT_MS}
# HELP pod_memory_working_set_bytes [STABLE] Current working set of the pod in bytes
# TYPE pod_memory_working_set_bytes gauge
pod_memory_working_set_bytes{{namespace="default",pod="hello"}} 4.1984e+06 {AT_MS}
# HELP resource_scrape_error [STABLE] 1 if there was an error while getting container metrics, 0 otherwise
# TYPE resource_scrape_error gauge
resource_scrape_error 0
"""  # noqa: E501 - the kubelet's lines
    assert exposed(resource_metrics(WHOLE)) == expected


def test_summary_has_the_shape_of_the_kubelet_s() -> None:
    told: Any = summary(WHOLE, files=True)
    hello, waits = told["pods"]
    assert told["node"]["nodeName"] == NODE
    assert told["node"]["startTime"] == "2026-01-02T03:04:05Z"
    assert [each["name"] for each in told["node"]["systemContainers"]] == ["kubelet", "pods"]
    assert told["node"]["memory"]["availableBytes"] == (4 << 30) - (200 << 20)
    assert told["node"]["fs"]["usedBytes"] == 400
    network = told["node"]["network"]
    assert (network["name"], network["rxBytes"], network["txBytes"]) == ("eth0", 9, 0)
    assert [each["name"] for each in network["interfaces"]] == ["wlan0", "eth0"]
    assert told["node"]["runtime"]["imageFs"]["usedBytes"] == 8192
    assert [each["name"] for each in hello["containers"]] == ["app", "idle"]
    app = hello["containers"][0]
    assert app["cpu"]["usageCoreNanoSeconds"] == 1_500_000_000
    assert app["memory"]["availableBytes"] == 60 << 20
    assert app["logs"]["usedBytes"] == 8192
    assert hello["cpu"]["usageCoreNanoSeconds"] == 2_000_000_001
    # Idle has no limit, so the pod has none.
    assert "availableBytes" not in hello["memory"]
    assert [(each["name"], each["usedBytes"]) for each in hello["volume"]] == [
        ("disk", 8192),
        ("memory", 8192),
        ("data", 8192),
    ]
    assert hello["volume"][2]["pvcRef"] == {"name": "pvc", "namespace": "default"}
    assert hello["volume"][2]["capacityBytes"] == 70
    assert hello["ephemeral-storage"]["usedBytes"] == 2 * 8192
    assert hello["process_stats"] == {"process_count": 2}
    assert waits["containers"] == []
    assert "cpu" not in waits


def test_summary_of_cpu_and_memory_has_nothing_else() -> None:
    told: Any = summary(WHOLE, files=False)
    hello = told["pods"][0]
    assert set(hello) == {"podRef", "startTime", "containers", "cpu", "memory"}
    assert set(hello["containers"][0]) == {"name", "startTime", "cpu", "memory"}
    assert not {"fs", "network", "runtime"} & set(told["node"])


def test_probes_are_counted_as_the_kubelet_counts_them() -> None:
    text = exposed(probe_metrics(WHOLE))
    labels = 'container="app",namespace="default",pod="hello",'
    readiness = f'{labels}pod_uid="u-1",probe_type="Readiness"'
    assert f'prober_probe_total{{{readiness},result="successful"}} 3\n' in text
    assert f'prober_probe_total{{{readiness},result="failed"}} 2\n' in text
    assert "unknown" not in text
    timed = f'{labels}probe_type="Readiness"'
    assert f'prober_probe_duration_seconds_bucket{{{timed},le="0.01"}} 2\n' in text
    assert f'prober_probe_duration_seconds_bucket{{{timed},le="+Inf"}} 3\n' in text
    assert f"prober_probe_duration_seconds_count{{{timed}}} 3\n" in text


def test_cadvisor_series_carry_its_labels() -> None:
    text = exposed(cadvisor_metrics(WHOLE))
    ours = (
        'container="app",cpu="total",id="/wasmlet/u-1/app",image="hello:1",name="abc",'
        'namespace="default",pod="hello"'
    )
    assert f"container_cpu_usage_seconds_total{{{ours}}} 1.5 {AT_MS}\n" in text
    root = 'container="",id="/",image="",interface="eth0",name="",namespace="",pod=""'
    assert f"container_network_receive_bytes_total{{{root}}} 9 {AT_MS}\n" in text
    assert f"container_network_transmit_packets_dropped_total{{{root}}} 1 {AT_MS}\n" in text
    assert "machine_cpu_cores 2\n" in text
    assert "machine_memory_bytes 4.294967296e+09\n" in text


def test_running_pods_and_containers_are_counted_by_their_state() -> None:
    text = exposed(kubelet_metrics(WHOLE))
    assert f'kubelet_node_name{{node="{NODE}"}} 1\n' in text
    assert "kubelet_running_pods 1\n" in text
    for state, number in (("created", 1), ("exited", 1), ("running", 2)):
        line = f'kubelet_running_containers{{container_state="{state}"}} {number}\n'
        assert line in text


def test_a_claim_is_told_once_however_many_mount_it() -> None:
    other = msgspec.structs.replace(POD, uid=PodUid("u-3"), name="other")
    text = exposed(kubelet_metrics(WHOLE._replace(pods=(POD, other))))
    claim = '{namespace="default",persistentvolumeclaim="pvc"}'
    assert re.findall(r"^kubelet_volume_stats_.*", text, re.MULTILINE) == [
        f"kubelet_volume_stats_available_bytes{claim} 60",
        f"kubelet_volume_stats_capacity_bytes{claim} 70",
        f"kubelet_volume_stats_inodes{claim} 9",
        f"kubelet_volume_stats_inodes_free{claim} 4",
        f"kubelet_volume_stats_inodes_used{claim} 2",
        f"kubelet_volume_stats_used_bytes{claim} 8192",
    ]


def test_what_the_executor_counts_is_shown_as_it_is() -> None:
    name = "kubelet_runtime_operations_duration_seconds"
    bucket = CountedSample(name=f"{name}_bucket", labels={"le": "+Inf"}, value=2)
    family = Counted(name=name, help="h", kind="histogram", samples=(bucket,))
    unknown = Counted(name="later", help="h", kind="info", samples=(bucket,))
    shown = msgspec.structs.replace(WHOLE.shown, counted=(family, unknown))
    text = exposed(kubelet_metrics(WHOLE._replace(shown=shown)))
    assert f'# TYPE {name} histogram\n{name}_bucket{{le="+Inf"}} 2\n' in text
    assert "later" not in text


def test_no_label_breaks_its_line() -> None:
    family = Family("a", "b", Kind.GAUGE, [Sample(1, {"l": 'x"y\\z\n'})])
    assert exposed([family]) == '# HELP a b\n# TYPE a gauge\na{l="x\\"y\\\\z\\n"} 1\n'


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as running:
        running.executor.usage = SHOWN
        yield running


async def get(here: World, path: str, token: str = "admin-token") -> httpx.Response:  # noqa: S107 - a test's
    async with here.client(token=token) as client:
        return await client.get(path)


@pytest.mark.parametrize("path", ["", "/cadvisor", "/probes", "/resource"])
async def test_every_endpoint_of_metrics_can_be_scraped(here: World, path: str) -> None:
    answer = await get(here, f"/metrics{path}", "reader-token")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert list(text_string_to_metric_families(answer.text))


async def test_pages_of_a_large_node_make_one_answer(here: World) -> None:
    pods = tuple(
        msgspec.structs.replace(POD, uid=PodUid(f"u-{n:03}"), name=f"p{n}") for n in range(7)
    )
    here.executor.usage = msgspec.structs.replace(SHOWN, pods=pods)
    here.executor.usage_page = 3
    answer = (await get(here, "/stats/summary?only_cpu_and_memory=true")).json()
    assert [each["podRef"]["name"] for each in answer["pods"]] == [f"p{n}" for n in range(7)]
    assert not any(each.files for each in here.executor.usage_asked)
    await get(here, "/stats/summary?only_cpu_and_memory=false")
    assert here.executor.usage_asked[-1].files


async def test_without_its_executor_a_node_says_that_there_was_an_error(here: World) -> None:
    await here.peers.leave(NODE)
    answer = await get(here, "/metrics/resource")
    assert answer.status_code == 200
    assert answer.text.splitlines()[-1] == "resource_scrape_error 1"
    summary_of_it = await get(here, "/stats/summary")
    assert summary_of_it.status_code == 500
    assert summary_of_it.text.startswith("Internal Error: ")


async def test_stats_and_metrics_are_subresources_of_their_own(here: World) -> None:
    assert (await get(here, "/stats/summary", "reader-token")).status_code == 403
    assert (await get(here, "/metrics/resource", "nobody-token")).status_code == 403
    assert (await get(here, "/metrics", "")).status_code == 401
    asked = {each["resourceAttributes"]["subresource"] for each in here.cluster.access_reviews}
    assert asked == {"stats", "metrics"}


async def test_running_pods_are_those_with_running_containers(here: World) -> None:
    async with here.client(token="admin-token") as client:
        answer = await client.get("/runningpods/")
    assert answer.headers["content-type"] == "application/json"
    containers = [
        {"name": "app", "image": "hello:1", "resources": {}},
        {"name": "idle", "image": "", "resources": {}},
    ]
    assert answer.json() == {
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": "hello", "namespace": "default", "uid": "u-1"},
                "spec": {"containers": containers},
                "status": {},
            }
        ],
    }
