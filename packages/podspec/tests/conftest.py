"""Pods for the tests: recorded ones from a real API server, and small ones made on the spot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parent / "data"

type Pod = dict[str, Any]


@pytest.fixture(params=["pod.scheduled.json", "pod.host-network.json"])
def recorded_pod(request: pytest.FixtureRequest) -> Pod:
    """A pod as API server 1.36.3 gives it back: defaults, admission plugins, managedFields."""
    pod: Pod = json.loads((DATA / request.param).read_text())
    return pod


@pytest.fixture
def make_pod() -> Callable[..., Pod]:
    """A pod of one container, with fields of the spec or of the container on top."""

    def make(*, container: Pod | None = None, **spec: Any) -> Pod:
        return {
            "metadata": {"name": "p", "namespace": "default", "uid": "1"},
            "spec": {"containers": [{"name": "main", "image": "i", **(container or {})}], **spec},
        }

    return make
