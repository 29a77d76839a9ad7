"""Whose memory counts for a container, and what its excess does."""

import os
import signal
import subprocess
import sys

import pytest

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, PodPlan
from wasm_executor.supervisor.httpplans import forks_of
from wasm_executor.supervisor.memory import (
    Forks,
    MemoryWatch,
    Watched,
    anonymous_bytes,
    workers_of,
)


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
