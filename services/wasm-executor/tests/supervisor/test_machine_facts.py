"""An executor in a container has what its cgroup leaves it, of whichever version that is."""

from pathlib import Path

import pytest

from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor import cgroups, facts

NO_LIMIT_V1 = "9223372036854771712"
POD = "/k8s.io/b33419"
# What /proc/self/cgroup says, and the files that the container sees below /sys/fs/cgroup.
WORLDS = {
    "version 2": (
        "0::/",
        {"memory.max": "536870912", "cpu.max": "150000 100000"},
        (536870912, 1500),
    ),
    "version 2, a lower limit above": (
        "0::/pods/one",
        {
            "pods/memory.max": "268435456",
            "pods/one/memory.max": "536870912",
            "pods/one/cpu.max": "max 100000",
            "pods/cpu.max": "50000 100000",
        },
        (268435456, 500),
    ),
    # Its own group is mounted where the hierarchy's top would be.
    "version 1 in a container": (
        f"4:memory:{POD}\n2:cpu,cpuacct:{POD}\n0::{POD}",
        {
            "memory/memory.limit_in_bytes": "536870912",
            "cpu,cpuacct/cpu.cfs_quota_us": "150000",
            "cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
        (536870912, 1500),
    ),
    "version 1 without limits": (
        "4:memory:/\n1:cpu:/\n0::/",
        {
            "memory/memory.limit_in_bytes": NO_LIMIT_V1,
            "cpu/cpu.cfs_quota_us": "-1",
            "cpu/cpu.cfs_period_us": "100000",
        },
        None,
    ),
}


@pytest.mark.parametrize("world", WORLDS)
def test_a_node_is_as_large_as_its_executors_cgroup(
    world: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, files, sizes = WORLDS[world]
    own, groups = tmp_path / "own", tmp_path / "groups"
    own.write_text(f"{said}\n")
    for name, content in files.items():
        place = groups / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{content}\n")
    settings = ExecutorSettings(node_name="n", data_dir=tmp_path, run_dir=tmp_path)
    monkeypatch.setattr(cgroups, "CGROUPS", tmp_path / "none")
    whole = facts.node_facts(settings)
    monkeypatch.setattr(cgroups, "CGROUPS", groups)
    monkeypatch.setattr(cgroups, "OWN", own)
    found = facts.node_facts(settings)
    wanted = sizes or (whole.memory_bytes, whole.cpu_millis)
    assert (found.memory_bytes, found.cpu_millis) == wanted
