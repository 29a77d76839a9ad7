"""A folder beside an API server: its pods run whatever the API does, and mirrors tell of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from reconciler_api import PodApi, failure
from reconciler_objects import Json, Write, api_pod
from reconciler_peer import (
    NODE,
    NODE_UID,
    Executor,
    Registrar,
    StartReconciler,
    container,
    ended,
    running,
    until,
)

WEB = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers: [{name: main, image: "file:web.wat"}]
"""
NAME = f"web-{NODE}"
MIRROR = "kubernetes.io/config.mirror"

type RunWeb = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "manifests"
    made.mkdir()
    return made


def beside(folder: Path) -> dict[str, Any]:
    return {"manifests": folder, "manifests_interval_s": 0.05}


def mirror(api: PodApi) -> Json | None:
    return api.pods.get(("default", NAME))


def phase(api: PodApi) -> str:
    found = mirror(api)
    return "" if found is None else str(found["status"]["phase"])


async def start_running(executor: Executor) -> str:
    """Have the executor report the first pod that it was given as running."""
    uid = (await until(lambda: executor.applied))[0].uid
    await executor.report(uid, container(running()))
    return uid


@pytest.fixture
def running_web(
    folder: Path, api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> RunWeb:
    """A reconciler beside the folder, whose pod runs and whose mirror says so; gives its UID."""

    @asynccontextmanager
    async def run() -> AsyncIterator[str]:
        (folder / "web.yaml").write_text(WEB)
        async with reconciler(**beside(folder)):
            await registrar.grant()
            uid = await start_running(executor)
            await until(lambda: phase(api) == "Running")
            yield uid

    return run


async def test_a_static_pod_runs_and_its_mirror_tells_of_it(
    api: PodApi, executor: Executor, running_web: RunWeb
) -> None:
    async with running_web() as uid:
        found = api.pod(NAME)
        assert found["metadata"]["annotations"][MIRROR] == uid
        assert found["metadata"]["ownerReferences"][0]["uid"] == NODE_UID
        assert found["metadata"]["uid"] != uid
        assert found["status"]["containerStatuses"][0]["ready"] is True
        assert set(executor.plans) == {uid}
        plan = executor.plans[uid].plan  # type: ignore[index]  # a UID
        assert plan is not None
        assert plan.name == NAME


async def test_a_mirror_that_is_deleted_comes_back_and_the_pod_never_notices(
    api: PodApi, executor: Executor, running_web: RunWeb
) -> None:
    async with running_web() as uid:
        for grace_s in (30, 0):
            before = api.pod(NAME)["metadata"]["uid"]
            api.delete(NAME, grace_s)
            await until(
                lambda old=before: (
                    phase(api) == "Running"  # type: ignore[misc]  # bound now
                    and api.pod(NAME)["metadata"]["uid"] != old
                )
            )
        assert executor.deletion_of(uid) is None
        assert len(executor.applied) == 1
        assert not executor.forgotten


async def test_a_changed_manifest_is_another_pod_with_another_mirror(
    folder: Path, api: PodApi, executor: Executor, running_web: RunWeb
) -> None:
    async with running_web() as old:
        before = api.pod(NAME)["metadata"]["uid"]
        (folder / "web.yaml").write_text(WEB.replace("web.wat", "other.wat"))
        await until(lambda: executor.deletion_of(old))
        await executor.report(old, container(ended(143)), stopped=True)
        new = (await until(lambda: [uid for uid in executor.plans if uid != old]))[0]
        await until(lambda: mirror(api) and api.pod(NAME)["metadata"]["annotations"][MIRROR] == new)
        assert api.deletions(NAME)[0].body["preconditions"] == {"uid": before}


async def test_a_manifest_that_goes_away_ends_the_pod_and_then_its_mirror(
    folder: Path, api: PodApi, executor: Executor, running_web: RunWeb
) -> None:
    async with running_web() as uid:
        (folder / "web.yaml").unlink()
        await until(lambda: executor.deletion_of(uid))
        assert mirror(api) is not None
        await executor.report(uid, container(ended(143)), stopped=True)
        await until(lambda: mirror(api) is None)
        await until(lambda: uid not in executor.plans)


async def test_a_static_pod_starts_while_the_api_server_is_away(
    folder: Path, api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.available = False
    (folder / "web.yaml").write_text(WEB)
    async with reconciler(**beside(folder)):
        await registrar.grant()
        uid = await start_running(executor)
        (folder / "web.yaml").unlink()
        await until(lambda: executor.deletion_of(uid))
        await executor.report(uid, container(ended(143)), stopped=True)
        await until(lambda: executor.forgotten)
        (folder / "web.yaml").write_text(WEB)
        again = (
            await executor.beat_until(
                lambda: [each for each in executor.applied if each.uid == uid][2:]
            )
        )[0]
        await executor.report(again.uid, container(running()))
        assert not api.pods
        api.available = True
        await until(lambda: phase(api) == "Running")


async def test_a_static_pod_that_ended_with_its_node_begins_again_with_it(
    api: PodApi, executor: Executor, running_web: RunWeb
) -> None:
    async with running_web() as uid:
        await executor.report(uid, container(ended(143)), stopped=True, reason="Terminated")
        await executor.beat(shutting_down=True)
        await until(lambda: phase(api) == "Failed")
        assert not executor.forgotten

        await executor.beat()
        await until(lambda: executor.forgotten)
        await executor.beat_until(lambda: uid in executor.plans)
        await executor.report(uid, container(running()))
        await until(lambda: phase(api) == "Running")


async def test_a_static_pod_that_an_earlier_leader_had_deleted_begins_again(
    executor: Executor, running_web: RunWeb
) -> None:
    async with running_web() as uid:
        await executor.report(uid, container(ended(143)), stopped=True, deleted=True)
        await until(lambda: executor.forgotten)
        await executor.beat_until(lambda: uid in executor.plans)


async def test_a_reconciler_that_starts_again_goes_on_from_the_mirror(
    folder: Path, api: PodApi, executor: Executor, reconciler: StartReconciler, running_web: RunWeb
) -> None:
    async with running_web():
        pass
    writes = len(api.writes)
    async with reconciler(**beside(folder)):
        # Another pod's way through shows that everything has been looked at.
        api.create(api_pod("p", "u-1", NODE))
        await until(lambda: "u-1" in executor.plans)
        await executor.report("u-1", container(running()))
        await until(lambda: api.pod("p")["status"]["phase"] == "Running")
        assert [each.path for each in api.writes[writes:]] == [
            "/api/v1/namespaces/default/pods/p/status"
        ]
        assert len(executor.applied) == 2
        assert not executor.forgotten


async def test_a_mirror_without_its_static_pod_is_deleted_and_never_run(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    forged = api_pod("forged", "u-1", NODE)
    forged["metadata"]["annotations"] = {MIRROR: "x"}
    api.create(forged)
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-2", NODE))
        await until(lambda: executor.applied)
        await until(lambda: api.deletions("forged"))
        assert set(executor.plans) == {"u-2"}


async def test_a_folder_that_cannot_be_read_deletes_no_mirror(
    folder: Path, api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    left = api_pod(NAME, "u-1", NODE)
    left["metadata"]["annotations"] = {MIRROR: "x"}
    api.create(left)
    (folder / "web.yaml").write_text("kind: [")
    async with reconciler(**beside(folder)):
        await registrar.grant()
        api.create(api_pod("p", "u-2", NODE))
        await start_running(executor)
        await until(lambda: api.pod("p")["status"]["phase"] == "Running")
        assert not api.deletions(NAME)
        (folder / "web.yaml").unlink()
        await until(lambda: api.deletions(NAME))


async def test_a_manifest_that_cannot_be_read_at_the_start_stops_nothing_in_a_cluster_either(
    folder: Path, api: PodApi, executor: Executor, reconciler: StartReconciler, running_web: RunWeb
) -> None:
    async with running_web():
        pass
    (folder / "web.yaml").write_text("kind: [")
    questions = []

    def count(request: web.Request) -> None:
        if (request.method, request.path.rpartition("/")[2]) == ("GET", NAME):
            questions.append(request.path)

    api.gate = count
    async with reconciler(**beside(folder)):
        await until(lambda: len(questions) > 2)
        (folder / "web.yaml").write_text(WEB)
        api.create(api_pod("p", "u-1", NODE))
        await until(lambda: "u-1" in executor.plans)
        assert not executor.forgotten
        assert not api.deletions(NAME)
        assert len(executor.applied) == 2


async def test_a_mirror_that_the_api_refuses_holds_up_nothing(
    folder: Path, api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    def no_creation(write: Write) -> Any:
        return failure(403, "Forbidden", "quota") if write.method == "POST" else None

    api.refuse = no_creation
    (folder / "web.yaml").write_text(WEB)
    async with reconciler(**beside(folder)):
        await registrar.grant()
        await start_running(executor)
        await until(lambda: len([each for each in api.writes if each.method == "POST"]) > 1)
        api.refuse = lambda _: None
        await until(lambda: phase(api) == "Running")


async def test_a_pod_of_the_api_that_has_the_name_is_left_alone(
    folder: Path, api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.create(api_pod(NAME, "u-1", "another-node"))
    (folder / "web.yaml").write_text(WEB)
    async with reconciler(**beside(folder)):
        await registrar.grant()
        await start_running(executor)
        await until(lambda: [each for each in api.writes if each.method == "POST"])
        assert api.pod(NAME)["metadata"]["uid"] == "u-1"
        assert not api.deletions(NAME)


async def test_a_manifest_whose_name_gets_too_long_is_not_run_and_the_others_are(
    folder: Path, api: PodApi, executor: Executor, running_web: RunWeb
) -> None:
    (folder / "a-long.yaml").write_text(WEB.replace("name: web", f"name: {'w' * 253}"))
    async with running_web():
        assert list(api.pods) == [("default", NAME)]
        assert len(executor.plans) == 1
