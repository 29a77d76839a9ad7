"""A Secret that is deleted under a pod: what is mounted stays, and containers restart on it."""

from collections.abc import Callable
from typing import Any

from e2e.api import Api
from e2e.expectations import eventually
from e2e.pods import Pods

type Make = Callable[..., dict[str, Any]]


def test_container_restarts_on_what_is_mounted_though_its_secret_is_gone(
    pods: Pods, api: Api, create: Make, does: Make, put: Callable[..., None]
) -> None:
    put("secrets", "fleeting", stringData={"word": "kept"})
    reads = does("main", "/v", "r", "word", mounts=[("v", "/v")])
    volumes = [{"name": "v", "secret": {"secretName": "fleeting"}}]
    create("lasting", reads, volumes=volumes, restartPolicy="Always")
    pods.await_waiting("lasting", "CrashLoopBackOff")
    api.delete(f"/api/v1/namespaces/{pods.namespace}/secrets/fleeting")
    before = pods.container("lasting")["restartCount"]
    eventually(lambda: pods.container("lasting")["restartCount"] > before, within_s=30)
    eventually(lambda: pods.logs("lasting") == "kept")
    assert pods.container("lasting")["lastState"]["terminated"]["exitCode"] == 0
    assert "FailedMount" not in [reason for reason, _ in pods.events("lasting")]
