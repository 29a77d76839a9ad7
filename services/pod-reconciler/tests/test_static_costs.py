"""What a folder costs beside a large cluster: no more for each node than for one alone."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from reconciler_desk import Desk
from reconciler_peer import until

from contract.ids import NodeName
from pod_reconciler import static
from pod_reconciler.domain.cluster import StatusWrite
from pod_reconciler.domain.manifest import Manifest, bound
from pod_reconciler.domain.pod import Json
from pod_reconciler.domain.staticpods import StaticPods
from pod_reconciler.manifests import ManifestFolder
from pod_reconciler.static import StaticCluster

NODES = [NodeName(f"n{index}") for index in range(20)]
NAMES = ("a", "b", "c")
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {containers: [{name: c, image: x}]}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / f"{name}.yaml").write_text(POD % name)
    return tmp_path


async def test_the_folder_is_read_for_all_nodes_at_once_and_told_of_to_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = {"read": 0, "outcome": 0}
    read = ManifestFolder.read

    def counted(self: ManifestFolder) -> None:
        done["read"] += 1
        read(self)

    def outcome(*_: object, **__: object) -> None:
        done["outcome"] += 1

    monkeypatch.setattr(ManifestFolder, "read", counted)
    monkeypatch.setattr(static, "outcome_of", outcome)
    cluster, desks = StaticCluster(folder, 3600), {node: Desk() for node in NODES}
    cluster.load()
    async with asyncio.TaskGroup() as tasks:
        following = [
            tasks.create_task(cluster.follow(node, desk), name=f"follow-{node}")
            for node, desk in desks.items()
        ]
        await until(lambda: all(len(desk.seen) == len(NAMES) for desk in desks.values()))
        for desk in desks.values():
            for pod in desk.seen.values():
                write = StatusWrite(pod=pod, status={"phase": "Running"}, patch=b"")
                await cluster.write_status(write, 1)
        for task in following:
            task.cancel()
    assert done == {"read": 1, "outcome": 0}
    assert {pod.phase for pod in cluster.pods.views} == {"Running"}


def test_a_manifest_is_bound_to_a_node_once_until_the_folder_changes(folder: Path) -> None:
    bindings: list[str] = []

    def noted(manifest: Manifest, node: NodeName) -> Json:
        bindings.append(manifest.name[1])
        return bound(manifest, node)

    manifests, pods, desk = ManifestFolder(folder), StaticPods(noted), Desk()

    def look() -> None:
        manifests.read()
        pods.compare(manifests.manifests, NODES[0], desk, datetime.now(UTC))

    for _ in range(3):
        look()
    assert bindings == ["a", "b", "c"]
    (folder / "a.yaml").unlink()
    for _ in range(3):
        look()
    assert bindings == ["a", "b", "c", "b", "c"]
    assert desk.seen["a"].metadata.deletion_timestamp
    pods.remove(desk.seen["a"])
    assert pods.names_on(NODES[0]) == {("default", "b"), ("default", "c")}
    assert {pod.metadata.name for pod in pods.views} == {"b", "c"}
