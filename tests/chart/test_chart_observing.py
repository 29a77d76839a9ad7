"""Alerts, dashboards and scrapes name metrics that a service has."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart.helm import CHART, Helm
from chart.objects import named, services

from controlplane.building import REPOSITORY

DASHBOARDS = sorted((CHART / "files" / "dashboards").glob("*.json"))
# What every Prometheus and every Python process says.
COMMON = {"up", "process_resident_memory_bytes"}
MADE = re.compile(r'(Counter|Gauge|Histogram)\(\s*"(wasmlet_\w+)"')
ENDINGS = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}


@pytest.fixture(scope="module")
def metrics() -> set[str]:
    """The series that the services' code makes."""
    sources = [
        *REPOSITORY.glob("services/*/src/**/*.py"),
        *REPOSITORY.glob("packages/*/src/**/*.py"),
    ]
    found = [each for source in sources for each in MADE.findall(source.read_text())]
    return {name + ending for kind, name in found for ending in ENDINGS[kind]} | COMMON


def names_in(query: str) -> set[str]:
    return set(re.findall(r"\b(wasmlet_\w+|process_\w+|up)\b", query))


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_alerts_ask_for_what_there_is(metrics: set[str]) -> None:
    for rule in alerts():
        asked = names_in(rule["expr"])
        assert asked
        assert asked <= metrics, rule["alert"]
        assert {"summary", "runbook"} <= set(rule["annotations"])


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_ask_for_what_there_is(dashboard: Path, metrics: set[str]) -> None:
    board = json.loads(dashboard.read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        for target in panel["targets"]:
            asked = names_in(target["expr"])
            assert asked
            assert asked <= metrics, panel["title"]


def test_a_config_map_carries_every_dashboard_unchanged(helm: Helm) -> None:
    objects = helm.render("-f", str(CHART / "ci" / "observed-values.yaml"))
    carried = named(objects, "ConfigMap", "wasmlet-dashboards")["data"]
    assert carried == {path.name: path.read_text() for path in DASHBOARDS}
    assert named(objects, "PrometheusRule", "wasmlet")["spec"]["groups"][0]["rules"] == alerts()


def test_a_scrape_reaches_every_admin_port(helm: Helm) -> None:
    objects = helm.render("-f", str(CHART / "ci" / "observed-values.yaml"))
    monitors = [each for each in objects if each["kind"] == "PodMonitor"]
    selected = {
        each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] for each in monitors
    }
    assert selected == {"node-registrar", "pod-reconciler", "wasm-node"}
    scraped = [end["port"] for each in monitors for end in each["spec"]["podMetricsEndpoints"]]
    ports = [port["name"] for each in services(objects) for port in each.get("ports", [])]
    assert sorted(scraped) == sorted(port for port in ports if port.endswith("admin"))
    assert len(scraped) == 4


@pytest.mark.debian
@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's package prometheus")
def test_alerts_fire_at_the_numbers_that_they_are_for(tmp_path: Path) -> None:
    for file in (CHART / "files" / "alerts.yaml", Path(__file__).with_name("alerts_tests.yaml")):
        shutil.copy(file, tmp_path)
    command = ["promtool", "test", "rules", "alerts_tests.yaml"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
