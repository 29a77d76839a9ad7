"""Without a cluster: a folder of manifests is run, and a file tells what became of it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from reconciler_peer import (
    Executor,
    Registrar,
    StartReconciler,
    container,
    ended,
    running,
    until,
)

HELLO = """
apiVersion: v1
kind: Pod
metadata: {name: hello}
spec:
  restartPolicy: Never
  containers: [{name: main, image: "file:hello.wat"}]
"""


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    folder = tmp_path / "manifests"
    folder.mkdir()
    return folder


def static(manifests: Path) -> dict[str, Any]:
    return {
        "kubeconfig": "",
        "manifests": manifests,
        "status_file": manifests.parent / "status.json",
        "manifests_interval_s": 0.05,
    }


def told(manifests: Path) -> dict[str, Any]:
    file = manifests.parent / "status.json"
    return dict(json.loads(file.read_bytes())) if file.exists() else {"ready": False, "pods": []}


async def runs(manifests: Path, registrar: Registrar, executor: Executor) -> str:
    """Return the UID of the one pod, which runs and is said to."""
    await registrar.grant()
    uid = (await until(lambda: executor.applied))[0].uid
    await executor.report(uid, container(running()))
    await until(lambda: told(manifests)["ready"])
    return uid


async def test_a_manifest_runs_to_its_end_and_the_file_tells_how(
    manifests: Path, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    (manifests / "hello.yaml").write_text(HELLO)
    async with reconciler(**static(manifests)):
        await registrar.grant()
        uid = (await until(lambda: executor.applied))[0].uid
        assert executor.plans[uid].plan.containers[0].image == f"file:{manifests}/hello.wat"  # type: ignore[union-attr]  # sent inline
        assert not told(manifests)["ready"]
        await executor.report(uid, container(running()))
        await until(lambda: told(manifests)["ready"])
        assert told(manifests)["pods"][0]["phase"] == "Running"

        await executor.report(uid, container(ended(3)), stopped=True)
        await until(lambda: told(manifests)["pods"][0]["phase"] == "Failed")
        pod = told(manifests)["pods"][0]
        assert (pod["namespace"], pod["name"], pod["uid"]) == ("default", "hello", uid)
        assert pod["containers"] == [
            {
                "name": "main",
                "state": "terminated",
                "exit_code": 3,
                "reason": "Error",
                "message": "",
                "restart_count": 0,
            }
        ]


async def test_a_pod_keeps_its_uid_over_a_restart_and_is_not_planned_anew(
    manifests: Path, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    (manifests / "hello.yaml").write_text(HELLO)
    async with reconciler(**static(manifests)):
        uid = await runs(manifests, registrar, executor)
    (manifests.parent / "status.json").unlink()
    async with reconciler(**static(manifests)):
        await until(lambda: told(manifests)["ready"])
        assert told(manifests)["pods"][0]["uid"] == uid
        assert len(executor.applied) == 1


async def test_a_manifest_that_goes_away_is_a_deletion_and_a_broken_one_stops_nothing(
    manifests: Path, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    file = manifests / "hello.yaml"
    file.write_text(HELLO)
    async with reconciler(**static(manifests)):
        uid = await runs(manifests, registrar, executor)

        file.write_text("kind: [")
        await until(lambda: told(manifests)["errors"])
        (manifests / "next.yaml").write_text(HELLO.replace("hello", "next"))
        await until(lambda: len(executor.plans) == 2)
        assert executor.deletion_of(uid) is None
        (manifests / "next.yaml").unlink()
        await until(lambda: len(executor.applied) == 3)

        file.unlink()
        await until(lambda: executor.deletion_of(uid))
        await executor.report(uid, container(ended(143)), stopped=True)
        await until(lambda: uid not in executor.plans)
        assert uid not in {pod["uid"] for pod in told(manifests)["pods"]}


async def test_a_manifest_that_cannot_be_read_at_the_start_stops_nothing_either(
    manifests: Path, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    file = manifests / "hello.yaml"
    file.write_text(HELLO)
    async with reconciler(**static(manifests)):
        await runs(manifests, registrar, executor)
    file.write_text("kind: [")
    (manifests / "next.yaml").write_text(HELLO.replace("hello", "next"))
    async with reconciler(**static(manifests)):
        await until(lambda: len(executor.plans) == 2)
        assert not executor.forgotten
        file.write_text(HELLO)
        await until(lambda: len(told(manifests)["pods"]) == 2)
        assert len(executor.applied) == 2
        assert not executor.forgotten


async def test_a_changed_manifest_starts_anew_once_the_old_pod_has_gone(
    manifests: Path, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    file = manifests / "hello.yaml"
    file.write_text(HELLO)
    async with reconciler(**static(manifests)):
        await registrar.grant()
        old = (await until(lambda: executor.applied))[0].uid
        await executor.report(old, container(running()))
        file.write_text(HELLO.replace("hello.wat", "other.wat"))
        await until(lambda: executor.deletion_of(old))
        assert set(executor.plans) == {old}
        await executor.report(old, container(ended(143)), stopped=True)
        new = (await until(lambda: [uid for uid in executor.plans if uid != old]))[0]
        assert executor.plans[new].plan.containers[0].image.endswith("/other.wat")  # type: ignore[union-attr]  # sent inline


async def test_a_manifest_that_comes_back_unchanged_runs_again(
    manifests: Path, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    file = manifests / "hello.yaml"
    file.write_text(HELLO)
    async with reconciler(**static(manifests)):
        uid = await runs(manifests, registrar, executor)
        file.unlink()
        await until(lambda: executor.deletion_of(uid))
        file.write_text(HELLO)
        await executor.report(uid, container(ended(143)), stopped=True)
        await until(lambda: executor.forgotten)
        await executor.beat_until(lambda: uid in executor.plans)
        assert executor.deletion_of(uid) is None


async def test_what_cannot_be_used_is_told_and_the_rest_runs(
    manifests: Path, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    (manifests / "hello.yaml").write_text(HELLO)
    (manifests / "more.yaml").write_text(
        "kind: Deployment\napiVersion: apps/v1\n---\n"
        + HELLO
        + "---\n"
        + HELLO.replace("hello", "..")
    )
    os.mkfifo(manifests / "pipe.yaml")
    async with reconciler(**static(manifests)):
        await registrar.grant()
        await until(lambda: executor.applied)
        errors = told(manifests)["errors"]
        assert any("(document 1): only v1 Pods run from a folder" in line for line in errors)
        assert any("another manifest is named default/hello" in line for line in errors)
        assert any("metadata.name: Invalid value: '..'" in line for line in errors)
        assert any("pipe.yaml: this is no regular file" in line for line in errors)


async def test_a_manifest_with_a_field_that_is_not_honoured_ends_failed(
    manifests: Path, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    (manifests / "hello.yaml").write_text(HELLO + "  hostPID: true\n")
    async with reconciler(**static(manifests)):
        await registrar.grant()
        await until(lambda: told(manifests)["pods"] and told(manifests)["ready"])
        pod = told(manifests)["pods"][0]
        assert pod["phase"] == "Failed"
        assert "spec.hostPID" in pod["message"]
        assert not executor.applied
