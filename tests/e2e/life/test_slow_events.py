"""Events go their own way: while none can be written, pods start, are shown and end as ever."""

import base64
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from e2e.api import Api
from e2e.expectations import eventually
from e2e.pods import Pods

from controlplane import ControlPlane

pytestmark = [pytest.mark.usefixtures("wasmlet_up"), pytest.mark.timeout(150)]
type Make = Callable[..., dict[str, Any]]

STALL_S = 25
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
STARTED = ("Started", "Container started")


@contextmanager
def stalled_events(plane: ControlPlane, api: Api, namespace: str) -> Iterator[socket.socket]:
    """The API server asks somebody who never answers about each Event of the namespace."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        authority = base64.b64encode(plane.authority.read_bytes()).decode()
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        events = {"apiGroups": ["", "events.k8s.io"], "resources": ["events"]}
        hook = {
            "name": "silent.example.com",
            "clientConfig": {"url": url, "caBundle": authority},
            "rules": [events | {"apiVersions": ["*"], "operations": ["CREATE", "UPDATE"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "failurePolicy": "Ignore",
            "timeoutSeconds": STALL_S,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        api.create(WEBHOOKS, {"metadata": {"name": namespace}, "webhooks": [hook]})
        try:
            yield silent
        finally:
            api.delete(f"{WEBHOOKS}/{namespace}")


def test_events_that_nobody_takes_hold_up_no_status_and_are_told_later(
    control_plane: ControlPlane, api: Api, pods: Pods, create: Make, play: Make
) -> None:
    names = [f"prompt-{number}" for number in range(3)]
    with stalled_events(control_plane, api, pods.namespace) as silent:
        create("first", play("main", "sleep"))
        asked, _ = silent.accept()
        with asked:
            pods.await_phase("first", "Running")
            began = time.monotonic()
            for name in names:
                create(name, play("main", "sleep"))
                pods.await_phase(name, "Running")
                pods.delete(name)
                eventually(lambda name=name: pods.is_gone(name))  # type: ignore[misc]  # a default binds it
            assert time.monotonic() - began < STALL_S
            assert not [name for name in ("first", *names) if STARTED in pods.events(name)]
    for name in names:
        eventually(lambda name=name: STARTED in pods.events(name), 60)  # type: ignore[misc]  # as above
