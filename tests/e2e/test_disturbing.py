"""What fault tests do to a control plane works: away, back with its data, frozen, tuned."""

from collections.abc import Iterator

import httpx
import pytest
from e2e.api import Api
from e2e.expectations import eventually

from controlplane import ControlPlane, Tuning

NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "silent"}}


@pytest.fixture(scope="module")
def own_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that may be broken, and that misses a Node soon."""
    tuning = Tuning(node_monitor_period_s=0.5, node_monitor_grace_period_s=2)
    with ControlPlane(tmp_path_factory.mktemp("own plane"), tuning=tuning) as plane:
        yield plane


def test_an_api_server_that_was_away_comes_back_with_its_objects(own_plane: ControlPlane) -> None:
    with Api(own_plane) as api:
        api.create("/api/v1/namespaces", {"metadata": {"name": "kept"}})
        own_plane.api_server.kill()
        with pytest.raises(httpx.ConnectError):
            api.get("/api/v1/namespaces/kept")
        own_plane.api_server.start()
        own_plane.api_server.wait_ready()
        assert api.find("/api/v1/namespaces/kept")


def test_a_killed_etcd_comes_back_with_its_objects(own_plane: ControlPlane) -> None:
    with Api(own_plane) as api:
        api.create("/api/v1/namespaces", {"metadata": {"name": "kept-too"}})
        own_plane.etcd.kill()
        own_plane.etcd.start()
        own_plane.etcd.wait_ready()
        own_plane.api_server.wait_ready()
        assert api.find("/api/v1/namespaces/kept-too")


def test_a_frozen_api_server_answers_later(own_plane: ControlPlane) -> None:
    own_plane.api_server.pause()
    try:
        asked = own_plane.kubectl("get", "nodes", "--request-timeout=1s", check=False)
        assert asked.returncode != 0
    finally:
        own_plane.api_server.resume()
    own_plane.api_server.wait_ready()
    own_plane.kubectl("get", "nodes")


def test_a_silent_node_is_missed_after_the_tuned_grace_period(own_plane: ControlPlane) -> None:
    with Api(own_plane) as api:
        api.create("/api/v1/nodes", NODE)
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        api.patch("/api/v1/nodes/silent/status", {"status": {"conditions": [ready]}})

        def reason() -> bool:
            conditions = api.get("/api/v1/nodes/silent")["status"]["conditions"]
            found = [each["reason"] for each in conditions if each["type"] == "Ready"]
            assert found == ["NodeStatusUnknown"]
            return True

        eventually(reason, within_s=15)
