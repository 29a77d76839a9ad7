"""Whose memory counts for a container, and what its excess does."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, PodPlan
from wasm_executor.supervisor import memory
from wasm_executor.supervisor.cgroups import MemoryLimit
from wasm_executor.supervisor.memory import (
    Forks,
    MemoryWatch,
    Room,
    Shortage,
    Watched,
    anonymous_bytes,
    workers_of,
)
from wasm_executor.supervisor.pods.httpplans import forks_of


def test_a_process_over_its_limit_is_told_once() -> None:
    told: list[str] = []
    watch = MemoryWatch(keeper_pid=os.getpid())
    watch.watch("fat", Watched(os.getpid(), 1024, lambda: told.append("fat")))
    watch.watch("slim", Watched(os.getpid(), 1 << 40, lambda: told.append("slim")))
    watch.watch("gone", Watched(2**22 + 1, 1024, lambda: told.append("gone")))
    watch.look()
    watch.look()
    assert told == ["fat"]
    assert anonymous_bytes(2**22 + 1) is None


WORKER = """
import os, threading, time
def request():
    pid = os.fork()
    if pid:
        print(os.getpid(), pid, flush=True)
    time.sleep(600)
if not os.fork():
    threading.Thread(target=request).start()
time.sleep(600)
"""


def test_processes_are_looked_for_as_deep_as_a_runtime_forks() -> None:
    command = (sys.executable, "-W", "ignore", "-c", WORKER)
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as served:
        try:
            assert served.stdout is not None
            worker, request = (int(each) for each in served.stdout.readline().split())
            found = {forks: workers_of(served.pid, forks) for forks in Forks}
        finally:
            os.killpg(served.pid, signal.SIGKILL)
    assert found == {
        Forks.NOTHING: [],
        Forks.WORKERS: [worker],
        Forks.REQUESTS: [worker, request],
    }


@pytest.mark.parametrize(
    ("handler", "ports", "forks"),
    [
        ("wagi", (), Forks.NOTHING),
        ("", (80,), Forks.WORKERS),
        ("wasi-http", (80,), Forks.WORKERS),
        ("wagi", (80,), Forks.REQUESTS),
        ("somebodys", (80,), Forks.REQUESTS),
    ],
)
def test_cgi_and_what_is_not_known_may_fork_for_requests(
    handler: str, ports: tuple[int, ...], forks: Forks
) -> None:
    container = ContainerPlan(name=ContainerName("c"), image="i", ports=ports)
    uid = PodUid("u")
    plan = PodPlan(
        uid=uid, namespace="n", name="p", containers=(container,), runtime_handler=handler
    )
    assert forks_of(plan, container) is forks


HOLDS = "import sys; held = bytearray(int(sys.argv[1]) << 20); print(flush=True); input()"
GROUP_BYTES = 1 << 30
FILES_BYTES = 300 << 20  # what the kernel forgets when it must
INODES_BYTES = 200 << 20  # this, too
FORGOTTEN = FILES_BYTES + INODES_BYTES
TAKEN = {
    "version 2": {
        "memory.stat": f"anon 1\nfile {FILES_BYTES}\nshmem 0\nslab_reclaimable {INODES_BYTES}\n"
    },
    "version 1": {
        "memory.stat": f"cache 7\ntotal_cache {FILES_BYTES}\ntotal_shmem 0\n",
        "memory.kmem.usage_in_bytes": f"{INODES_BYTES}\n",
    },
}
USED = {"version 2": "memory.current", "version 1": "memory.usage_in_bytes"}


@contextmanager
def holding(mebibytes: int) -> Iterator[subprocess.Popen[bytes]]:
    command = (sys.executable, "-c", HOLDS, str(mebibytes))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.parametrize("version", TAKEN)
def test_before_the_executors_own_group_is_full_somebody_goes(version: str, tmp_path: Path) -> None:
    """First who promised no limit, and takes most; the next when that one is gone."""
    for name, text in TAKEN[version].items():
        (tmp_path / name).write_text(text)
    used = tmp_path / USED[version]
    told: list[str] = []
    room = Room(MemoryLimit(GROUP_BYTES, tmp_path), kept_bytes=8 << 20)
    watch = MemoryWatch(os.getpid(), room)
    with holding(16) as small, holding(32) as large, holding(64) as limited:
        watch.watch("gone", Watched(2**22 + 1, None, lambda: told.append("gone")))
        watch.watch("small", Watched(small.pid, None, lambda: told.append("small")))
        watch.watch("large", Watched(large.pid, None, lambda: told.append("large")))
        watch.watch("limited", Watched(limited.pid, 1 << 40, lambda: told.append("limited")))
        used.write_text(str(GROUP_BYTES))
        watch.look()
        assert told == []  # files can be forgotten, and their inodes
        used.write_text(str(GROUP_BYTES + FORGOTTEN - (7 << 20)))
        watch.look()
        watch.look()
        assert told == ["large"]
        for ended, expected in ((large, "small"), (small, "limited")):
            ended.kill()
            ended.wait()
            watch.look()
            assert told[-1] == expected
    assert told == ["large", "small", "limited"]


def test_nobody_goes_for_what_no_container_has_taken(tmp_path: Path) -> None:
    """A folder in memory is full, or a job is large: the end of a small pod would not help."""
    (tmp_path / "memory.current").write_text(str(GROUP_BYTES))
    (tmp_path / "memory.stat").write_text(f"anon 1\nfile {FILES_BYTES}\nshmem {FILES_BYTES}\n")
    told: list[str] = []
    watch = MemoryWatch(os.getpid(), Room(MemoryLimit(GROUP_BYTES, tmp_path), 64 << 20))
    with holding(16) as small, holding(128) as large:
        watch.watch("small", Watched(small.pid, None, lambda: told.append("small")))
        watch.look()
        assert told == []
        watch.watch("large", Watched(large.pid, 1 << 40, lambda: told.append("large")))
        watch.look()
        assert told == ["large"]  # alone it takes what is wanted
        large.kill()
        large.wait()
        watch.look()
    assert told == ["large"]


def test_the_largest_goes_where_many_small_ones_have_taken_it() -> None:
    shortage = Shortage(taken_bytes=1000, wanted_bytes=200)
    assert shortage.who_goes({"a": 90, "b": 95, "c": 99}, {"c"}) is None
    many = {str(size): size for size in range(50, 60)}
    assert shortage.who_goes(many, {"59"}) == "59"
    assert shortage.who_goes(many | {"fair": 100, "larger": 300}, {"larger"}) == "fair"


def test_a_pid_that_is_anothers_by_now_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: dict[int, int | None] = {1: 50, 2: 40}
    monkeypatch.setattr(memory, "anonymous_bytes", sizes.get)
    used = tmp_path / "memory.current"
    told: list[str] = []
    watch = MemoryWatch(2**22 + 1, Room(MemoryLimit(100, tmp_path), kept_bytes=10))
    watch.watch("one", Watched(1, None, lambda: told.append("one")))
    watch.watch("two", Watched(2, None, lambda: told.append("two")))
    used.write_text("95")
    watch.look()
    sizes[1] = None
    used.write_text("80")
    watch.look()
    assert told == ["one"]
    sizes[1] = 50
    used.write_text("95")
    watch.look()
    assert told == ["one", "two"]
