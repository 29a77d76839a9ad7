"""Which static pods begin anew when their manifests come back: those whose end is remembered."""

from datetime import UTC, datetime
from typing import Any

import pytest
from reconciler_desk import Desk

from contract.ids import NodeName
from pod_reconciler.domain import staticpods
from pod_reconciler.domain.manifest import Manifest
from pod_reconciler.domain.staticpods import StaticPods

NODE = NodeName("n")
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def manifest(name: str) -> Manifest:
    spec: dict[str, Any] = {"containers": [{"name": "main", "image": "i"}]}
    return Manifest(
        source=name, pod={"metadata": {"name": name, "namespace": "default"}, "spec": spec}
    )


def test_of_very_many_ends_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staticpods, "MOST_OVER", 2)
    anew: dict[str, bool] = {}

    def begin(pod: Any, /, *, is_anew: bool) -> Any:
        anew[pod["metadata"]["name"]] = is_anew
        return pod

    pods, desk = StaticPods(begin=begin), Desk()

    def run(name: str) -> None:
        pods.compare([manifest(name)], NODE, desk, NOW)
        (found,) = (each for shown, each in desk.seen.items() if shown.startswith(name))
        pods.remove(found)

    for name in ("a", "b", "a", "c"):
        run(name)
    anew.clear()
    for name in ("a", "c", "b"):
        run(name)
    assert list(anew.values()) == [True, True, False]
