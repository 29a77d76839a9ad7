"""Fifty who follow a loud pod without reading cost bounded memory, and no other's log waits."""

import http.client
import ssl
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import pytest
from e2e import guests
from e2e.anatomy import Anatomy, Part
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet
from e2e.waits import is_held_up, slowest_read_s

from controlplane import ControlPlane

FOLLOWERS = 50
MOST_KB_EACH = 1300
"""Two chunks of 256 KiB at most, and TLS' and uvloop's half a MiB of buffers."""


@pytest.fixture
def loud(pods: Pods, images: Images) -> str:
    """A pod that has written 41 MB and goes on running."""
    pods.run("loud", images.push(guests.talks(), "talker"))
    pods.await_phase("loud", "Running")
    return "loud"


@pytest.mark.timeout(180)  # fifty handshakes beside 41 MB that are written
def test_stalled_followers_are_bounded_and_hold_up_nobody(
    control_plane: ControlPlane, wasmlet_up: RunningWasmlet, pods: Pods, images: Images, loud: str
) -> None:
    quiet = pod("quiet", images.push(guests.prints("hello\n"), "quiet"))
    quiet["spec"]["nodeName"] = pods.get(loud)["spec"]["nodeName"]  # it is read at the same port
    pods.create(quiet)
    pods.await_phase("quiet", "Succeeded")
    server = Anatomy(wasmlet_up).get(Part.LOG_SERVER)
    alone_s = slowest_read_s(pods)
    before_kb = server.pss_kb
    path = f"/api/v1/namespaces/{pods.namespace}/pods/{loud}/log?follow=true"
    with ExitStack() as stalled:
        for _ in range(FOLLOWERS):
            connection = stalled.enter_context(closing(_connection(control_plane)))
            connection.request("GET", path)
            assert connection.getresponse().read(1000), "it is read no more"
        assert not is_held_up(slowest_read_s(pods), alone_s)
        assert server.lives
        assert server.pss_kb - before_kb < FOLLOWERS * MOST_KB_EACH
    assert eventually(lambda: server.pss_kb - before_kb < FOLLOWERS * MOST_KB_EACH // 2, 30)
    assert server.lives, "what has ended weighs nothing"


def _connection(plane: ControlPlane) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(plane.authority))
    context.load_cert_chain(plane.admin.certificate, plane.admin.key)
    address = urlsplit(plane.server)
    assert address.hostname
    return http.client.HTTPSConnection(address.hostname, address.port, context=context, timeout=30)
