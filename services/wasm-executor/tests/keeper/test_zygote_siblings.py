"""A sibling: its parent is its maker's own, and otherwise it is a process like any other."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from keeper_rig import KeeperProcess, spares, wait_until

MAKES_ONE: Final = """
import os, random, sys, threading
from wasm_executor.keeper.linux import become_subreaper
from wasm_executor.zygote import siblings

def live():
    thread = threading.Thread(target=print, args=("a thread",))
    thread.start()
    thread.join()
    print("foreseen" if random.random() == foreseen else "another chance")
    print("the parent's" if os.getppid() == parent else "a stranger's")
    print("its number" if siblings.thread_id_address() is not None else "another's", flush=True)
    os._exit(7)

become_subreaper()
parent, foreseen = os.getpid(), random.Random(1).random()
if os.fork() == 0:
    if sys.argv[1] == "by a process between":  # as where a thread's number is not found
        siblings.thread_id_address, known = (lambda: None), siblings.thread_id_address
    forking = siblings.Forking()
    siblings.thread_id_address = globals().get("known", siblings.thread_id_address)
    random.seed(1)
    if forking.sibling() == 0:
        live()
    os._exit(0)
ended = sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2))
assert ended == [0, 7], ended
"""


@pytest.mark.parametrize("way", ["at once", "by a process between"])
def test_a_sibling_is_its_makers_parent_s_and_a_process_like_any_other(way: str) -> None:
    made = subprocess.run(
        [sys.executable, "-c", MAKES_ONE, way],
        stdout=subprocess.PIPE,
        timeout=30,
        text=True,
        check=True,
    )
    assert made.stdout.splitlines() == [
        "a thread",
        "another chance",
        "the parent's",
        "its number",
    ]


TRACED: Final = "WASMLET_TRACES_ENDPOINT"
COMES_TO_BE: Final = """
import sys, threading
from wasm_executor.zygote import forking
forking.rehearse(forking.load_runtimes())
assert threading.active_count() == 1, threading.enumerate()
print(*(name.partition(".")[0] for name in sys.modules))
"""
"""A zygote, up to its first fork."""


def test_a_zygote_knows_nothing_of_traces_whose_locks_and_hooks_a_fork_would_inherit() -> None:
    made = subprocess.run(
        [sys.executable, "-c", COMES_TO_BE],
        stdout=subprocess.PIPE,
        timeout=60,
        text=True,
        check=True,
        env=os.environ | {TRACED: "http://127.0.0.1:4318"},
    )
    loaded = set(made.stdout.split())
    assert "wasm_executor" in loaded
    assert loaded.isdisjoint({"opentelemetry", "servicekit", "logging", "asyncio", "concurrent"})


def test_no_thread_is_beside_a_fork_where_traces_are_on(
    start_keeper: Callable[..., KeeperProcess],
) -> None:
    keeper = start_keeper(**{TRACED: "http://127.0.0.1:4318"})
    wait_until(lambda: bool(spares(keeper.pid)))
    for pid in (keeper.pid, keeper.zygote_pid(), *spares(keeper.pid)):
        assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 1
