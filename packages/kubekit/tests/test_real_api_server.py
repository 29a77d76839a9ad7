"""Against a real API server: what recorded bytes can only claim."""

import asyncio
import contextlib
import itertools
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controlplane import ControlPlane
from kubekit.changes import Added, Change, Deleted, Modified
from kubekit.client import Api, api_client
from kubekit.election import Elector
from kubekit.errors import ConflictError, ForbiddenError, NotFoundError
from kubekit.events import EventRecorder, EventSender, ObjectRef
from kubekit.leases import Timing
from kubekit.listing import Source
from kubekit.patches import (
    STRATEGIC_MERGE,
    Ownership,
    delete_options,
    status_patch,
)
from kubekit.reflector import Pace, Reflector
from kubekit.testing import until

pytestmark = pytest.mark.e2e

PODS = "/api/v1/namespaces/default/pods"
_names = (f"pod-{number}" for number in itertools.count())

type Pod = dict[str, Any]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("plane")) as started:
        yield started


@pytest.fixture
async def api(plane: ControlPlane) -> AsyncIterator[Api]:
    async with api_client(plane.admin_kubeconfig, user_agent="wasmlet-test") as client:
        yield client


async def create_pod(api: Api, node: str) -> Pod:
    spec = {"nodeName": node, "containers": [{"name": "main", "image": "none"}]}
    body = {"metadata": {"name": next(_names)}, "spec": spec}
    response = await api.request("POST", PODS, body=msgspec.json.encode(body))
    created: Pod = msgspec.json.decode(response.body)
    return created


def name_of(pod: Pod) -> str:
    return str(pod["metadata"]["name"])


def uid_of(pod: Pod) -> str:
    return str(pod["metadata"]["uid"])


async def delete_at_once(api: Api, pod: Pod) -> None:
    body = delete_options(uid_of(pod), grace_period_s=0)
    await api.request("DELETE", f"{PODS}/{name_of(pod)}", body=body)


async def get(api: Api, pod: Pod) -> Pod:
    response = await api.request("GET", f"{PODS}/{name_of(pod)}")
    found: Pod = msgspec.json.decode(response.body)
    return found


async def patch_status(api: Api, pod: Pod, desired: Pod, owned: Ownership = Ownership()) -> Pod:  # noqa: B008 -- frozen
    body = status_patch(uid_of(pod), pod.get("status", {}), desired, owned)
    assert body is not None
    path = f"{PODS}/{name_of(pod)}/status"
    response = await api.request("PATCH", path, body=body, content_type=STRATEGIC_MERGE)
    patched: Pod = msgspec.json.decode(response.body)
    return patched


class CountingReflector(Reflector[Pod]):
    """Counts the watches that it has begun."""

    watches = 0

    async def _watch(self) -> None:
        self.watches += 1
        await super()._watch()

    async def begins_another(self) -> None:
        before = self.watches
        await until(lambda: self.watches > before)


@contextlib.asynccontextmanager
async def following(
    api: Api, node: str
) -> AsyncIterator[tuple[CountingReflector, list[Change[Pod]]]]:
    changes: list[Change[Pod]] = []

    async def deliver(change: Change[Pod]) -> None:
        changes.append(change)

    source = Source(path="/api/v1/pods", field_selector=f"spec.nodeName={node}")
    reflector = CountingReflector(
        api,
        source,
        decode=msgspec.json.decode,
        deliver=deliver,
        pace=Pace(watch_min_s=1, watch_max_s=2, backoff_initial_s=0.05, backoff_maximum_s=0.5),
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reflector.run())
        await reflector.synced()
        yield reflector, changes
        running.cancel()


async def test_pods_of_a_node_are_followed_over_many_watches(api: Api) -> None:
    other = await create_pod(api, "other-node")
    async with following(api, "follow-node") as (reflector, changes):
        for _ in range(3):
            pod = await create_pod(api, "follow-node")
            await until(lambda: len(reflector.store) == 1)
            await patch_status(api, pod, {"message": "seen"})
            await until(lambda: isinstance(changes[-1], Modified))
            await reflector.begins_another()
            await delete_at_once(api, pod)
            await until(lambda: not reflector.store)

    kinds = [type(change).__name__ for change in changes]
    assert kinds[0] == "Synced"
    assert [kind for kind in kinds if kind in {"Added", "Deleted"}] == ["Added", "Deleted"] * 3
    await delete_at_once(api, other)


async def test_a_restarted_api_server_deletes_nothing_and_what_went_is_found(
    plane: ControlPlane, api: Api
) -> None:
    async with following(api, "restart-node") as (reflector, changes):
        stays = await create_pod(api, "restart-node")
        await until(lambda: len(reflector.store) == 1)
        await asyncio.to_thread(plane.api_server.stop)
        await until(lambda: not reflector.reachable)
        plane.api_server.start()  # it dies with the thread that starts it
        await asyncio.to_thread(plane.api_server.wait_ready)
        comes = await create_pod(api, "restart-node")
        await until(lambda: len(reflector.store) == 2, within_s=30)
        assert reflector.reachable
        assert not [change for change in changes if isinstance(change, Deleted)]
        assert {change.uid for change in changes if isinstance(change, Added)} == {
            uid_of(stays),
            uid_of(comes),
        }

        await delete_at_once(api, stays)
        await until(lambda: len(reflector.store) == 1)
    await delete_at_once(api, comes)


async def test_a_status_patch_changes_what_is_ours_and_only_that(api: Api) -> None:
    pod = await create_pod(api, "patch-node")
    owned = Ownership(
        fields=frozenset({"message"}), conditions=frozenset({"Ready", "PodScheduled"})
    )
    gate = {"type": "example.com/gate", "status": "True"}
    pod = await patch_status(api, pod, {"conditions": [gate]})
    ready = {"type": "Ready", "status": "False", "reason": "Why", "message": "m"}
    scheduled = {"type": "PodScheduled", "status": "True"}
    address = {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}], "message": "m"}
    pod = await patch_status(api, pod, address | {"conditions": [scheduled, ready]}, owned)

    moved = {"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}]}
    now_ready = {"type": "Ready", "status": "True"}
    pod = await patch_status(api, pod, moved | {"conditions": [now_ready]}, owned)

    status = pod["status"]
    assert status["podIPs"] == [{"ip": "10.0.0.2"}]
    assert "message" not in status
    kinds = {condition["type"]: condition for condition in status["conditions"]}
    assert list(kinds) == ["Ready", "example.com/gate"]
    assert kinds["Ready"]["status"] == "True"
    assert not kinds["Ready"].get("reason")
    assert status_patch(uid_of(pod), status, moved | {"conditions": [kinds["Ready"]]}) is None
    await delete_at_once(api, pod)


async def test_the_pod_that_was_meant_is_the_only_one_hit(api: Api) -> None:
    pod = await create_pod(api, "uid-node")
    another = {"metadata": {**pod["metadata"], "uid": "00000000-0000-0000-0000-000000000000"}}

    with pytest.raises(ConflictError, match="uid"):
        await patch_status(api, another, {"message": "wrong"})
    with pytest.raises(ConflictError, match="UID"):
        await delete_at_once(api, another)
    assert "message" not in (await get(api, pod))["status"]

    await delete_at_once(api, pod)
    with pytest.raises(NotFoundError):
        await get(api, pod)


async def test_an_event_is_seen_with_its_count(plane: ControlPlane, api: Api) -> None:
    pod = await create_pod(api, "event-node")
    ref = ObjectRef(
        kind="Pod",
        name=name_of(pod),
        uid=uid_of(pod),
        namespace="default",
        field_path="spec.containers{main}",
    )
    sender = EventSender(api)
    recorder = EventRecorder(sender, host="event-node")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(sender.run())
        for _ in range(3):
            recorder.emit(ref, "Normal", "Pulled", "Image is there", datetime.now(UTC))
        await until(lambda: sender.tally.sent == 3)
        running.cancel()

    selector = f"--field-selector=involvedObject.uid={uid_of(pod)}"
    (event,) = (await asyncio.to_thread(plane.kubectl.get, "events", selector))["items"]
    assert (event["reason"], event["count"]) == ("Pulled", 3)
    assert event["source"] == {"component": "kubelet", "host": "event-node"}
    await delete_at_once(api, pod)


async def test_a_service_account_may_do_what_its_role_says_and_no_more(plane: ControlPlane) -> None:
    kubeconfig = await asyncio.to_thread(plane.service_account_kubeconfig, "default", "default")
    async with api_client(kubeconfig, user_agent="wasmlet-test") as nobody:
        await nobody.request("GET", "/version")
        with pytest.raises(ForbiddenError, match="pods is forbidden"):
            await nobody.request("GET", PODS)


async def test_a_released_lease_is_taken_over_without_waiting(api: Api) -> None:
    def elector() -> Elector:
        return Elector(api, namespace="default", name="handover", identity="e", timing=timing)

    timing = Timing(lease_duration_s=60, renew_deadline_s=40, retry_period_s=0.1)
    async with elector().campaign() as first:
        former = await first.leading()
    async with asyncio.timeout(10), elector().campaign() as second:
        assert await second.leading() > former


@contextlib.asynccontextmanager
async def first_leader(kubeconfig: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    script = Path(__file__).with_name("frozen_leader.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(kubeconfig), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def says(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def test_a_leader_stopped_past_its_deadline_does_not_lead_when_it_wakes(
    plane: ControlPlane, api: Api
) -> None:
    timing = Timing(lease_duration_s=3, renew_deadline_s=2, retry_period_s=0.2)
    second = Elector(api, namespace="default", name="frozen", identity="second", timing=timing)
    async with asyncio.timeout(45), first_leader(plane.admin_kubeconfig) as first:
        while await says(first) != "leads":
            pass
        async with second.campaign():
            first.send_signal(signal.SIGSTOP)
            term = await second.leading()
            first.send_signal(signal.SIGCONT)
            # At most what it had said before it was stopped; then it knows at its first look.
            while await says(first) == "leads":
                pass
            for _ in range(50):
                assert await says(first) == "follows"
                assert second.assert_leading() == term
