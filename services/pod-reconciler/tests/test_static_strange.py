"""Whatever a file of the folder says, the others run: it is used, or a line says why it is not."""

import asyncio
from pathlib import Path

from reconciler_desk import Desk
from reconciler_peer import until

from contract.ids import NodeName
from pod_reconciler.static import StaticCluster

POD = (
    "apiVersion: v1\nkind: Pod\n"
    "metadata: {name: %s%s}\nspec: {%scontainers: [{name: c, image: x%s}]}\n"
)

REFUSED = {
    "no-integer": POD % ("p", ", annotations: {d: !!int foo}", "", ""),
    "no-time": POD % ("p", ", annotations: {d: !!timestamp foo}", "", ""),
    "half-character": POD % ("p", r', annotations: {d: "\ud800"}', "", ""),
    "deep": "a: " + "[" * 3000 + "]" * 3000,
    "loop": "apiVersion: v1\nkind: Pod\nmetadata: &m {name: p, x: *m}\nspec: {containers: []}\n",
    "endless": POD % ("p", "", f"x: {'9' * 5000}, ", ""),
    "no-number": POD % ("p", "", "terminationGracePeriodSeconds: .nan, ", ""),
}
USED = {
    "month": POD % ("month", ", annotations: {built: 2024-13-45}", "", ""),
    "day": POD % ("day", ", annotations: {d: 2024-01-01}", "", ""),
    "variable": POD % ("variable", "", "", ", env: [{name: D, value: 2024-01-01}]"),
    "2024-01-01": POD % ("2024-01-01", "", "", ""),
    "created": POD % ("created", ", creationTimestamp: 2024-01-01T00:00:00Z", "", ""),
    "bytes": POD % ("bytes", ", annotations: {a: !!binary aGk=}", "", ""),
    "set": POD % ("set", "", "x: !!set {a, b}, ", ""),
    "patient": POD % ("patient", "", "terminationGracePeriodSeconds: 99999999999999, ", ""),
    "hasty": POD % ("hasty", "", "terminationGracePeriodSeconds: -99999999999999, ", ""),
}


async def test_no_manifest_ends_the_reconciler_or_another_pod(tmp_path: Path) -> None:
    files = {"good": POD % ("good", "", "", "")} | REFUSED | USED
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    cluster, desk = StaticCluster(tmp_path, 0.01), Desk()
    cluster.load()
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(cluster.follow(NodeName("n"), desk), name="follow")
        await until(lambda: desk.seen)
        assert set(desk.seen) == {"good", *USED}
        refused = {Path(line.split(":")[0]).stem for line in cluster.errors}
        assert refused == set(REFUSED)
        assert all("\n" not in line for line in cluster.errors)

        for name in USED:
            (tmp_path / f"{name}.yaml").unlink()
        await until(lambda: all(desk.seen[name].metadata.deletion_timestamp for name in USED))
        assert desk.seen["good"].metadata.deletion_timestamp is None
        following.cancel()
