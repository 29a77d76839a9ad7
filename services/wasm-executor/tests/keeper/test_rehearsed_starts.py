"""What containers no longer do because a start was gone through before the first fork."""

import subprocess
import sys
from pathlib import Path
from types import CodeType
from typing import Final

import pytest
from forks import in_a_fork

from wasm_executor.zygote.freezing import lay_together

REHEARSES: Final = """
import os, sys, time
from wasm_executor.container.confining import confine
from wasm_executor.container.process import live
from wasm_executor.runtimes.registry import load_runtimes
from wasm_executor.zygote import rehearsing

def is_as_compiled(function):
    return function.__code__._co_code_adaptive == function.__code__.co_code

if sys.argv[1] == "where no guest starts":
    rehearsing.OnStage.run = lambda *_: 1
if sys.argv[1] == "where a start hangs":
    rehearsing.WITHIN_S = 1
    rehearsing.OnStage.run = lambda *_: time.sleep(600)
if sys.argv[1] == "where an error is unheard of":
    rehearsing.lay_together = {}.__getitem__
runtimes = load_runtimes()
held = os.listdir("/proc/self/fd")
rehearsing.rehearse(runtimes)
until, threads = time.monotonic() + 20, "/proc/self/task"
while len(os.listdir(threads)) > 1 and time.monotonic() < until:
    pass  # the kernel takes a moment to forget one that has been joined
with open("/proc/self/status") as status:
    said = dict(line.split(":\t") for line in status.read().splitlines())
print("as compiled" if is_as_compiled(live) or is_as_compiled(confine) else "has run")
print("holds nothing more" if os.listdir("/proc/self/fd") == held else "holds more")
print(said["Threads"], "thread,", said["Seccomp"], "filters")
"""


def rehearsed(how: str, ends_with: int = 0) -> tuple[list[str], str]:
    """In a process of its own: a fork of this one could not compile, as a zygote can."""
    done = subprocess.run(
        [sys.executable, "-c", REHEARSES, how],
        capture_output=True,
        timeout=50,
        text=True,
        check=False,
    )
    assert done.returncode == ends_with
    return done.stdout.splitlines(), done.stderr


def test_a_rehearsal_has_run_what_a_container_runs_and_leaves_nothing_behind() -> None:
    left = ["has run", "holds nothing more", "1 thread, 0 filters"]
    assert rehearsed("as it is") == (left, "")


def test_a_start_that_cannot_be_rehearsed_is_said() -> None:
    assert "0 of 8 starts succeeded" in rehearsed("where no guest starts")[1]
    assert "0 of 8 starts succeeded" in rehearsed("where an error is unheard of")[1]


def test_a_start_that_hangs_ends_the_zygote() -> None:
    """It may hold what a fork needs."""
    assert "it hangs for 1 s" in rehearsed("where a start hangs", ends_with=1)[1]


KEEPS: Final = """
import os, sys
from pathlib import Path
from wasm_executor.keeper.loop import EventLoop
from wasm_executor.keeper.records import Records
from wasm_executor.keeper.settings import KeeperSettings
from wasm_executor.keeper.spawning import Spawner

ZYGOTE = '''
import socket, sys
print(sys.argv[2], flush=True)
if sys.argv[1] in sys.argv[2]:
    socket.socket(fileno=int(sys.argv[3])).send(b"ready")
'''
folder = Path(sys.argv[2])
argv = (sys.executable, "-c", ZYGOTE, sys.argv[1])
settings = KeeperSettings(run_dir=folder, data_dir=folder)
spawner = Spawner(EventLoop(), Records(folder), argv, settings)
for _ in range(4):
    os.waitpid(spawner._launch(), 0)
    spawner._hear_zygote()
"""


@pytest.mark.parametrize(
    ("ready", "launched"),
    [
        ("rehearsed", ["rehearsed"] * 4),
        ("plain", ["rehearsed", "plain", "rehearsed", "plain"]),
    ],
)
def test_a_zygote_that_was_never_ready_is_followed_by_one_that_does_not_rehearse(
    ready: str, launched: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KEEPS, ready, str(tmp_path)],
        capture_output=True,
        timeout=50,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == launched


LAYS_TOGETHER: Final = """
import argparse, asyncio, gc, types
from wasm_executor.zygote.freezing import fill_holes, lay_together

def pages():
    return len({id(each.__code__) // 4096 for each in some})

every = [each for each in gc.get_objects() if isinstance(each, types.FunctionType)]
some = every[::10]
before = pages()
fill_holes()
lay_together({id(each.__code__): None for each in some})
print(before, pages())
print(argparse.Namespace(laid="together"))
"""


def test_code_that_is_laid_together_does_what_it_did_in_few_pages() -> None:
    said = subprocess.run(
        [sys.executable, "-c", LAYS_TOGETHER],
        capture_output=True,
        timeout=50,
        text=True,
        check=True,
    ).stdout.splitlines()
    before, after = map(int, said[0].split())
    assert after < before / 2
    assert said[1] == "Namespace(laid='together')"


def test_code_of_inner_functions_moves_along() -> None:
    def inner_ones() -> None:
        def outer() -> list[int]:
            def one() -> int:
                return 1

            def two() -> int:
                return 2

            return [one(), two()]

        inner = [each for each in outer.__code__.co_consts if isinstance(each, CodeType)]
        lay_together(dict.fromkeys((id(outer.__code__), *map(id, inner))))
        moved = [each for each in outer.__code__.co_consts if isinstance(each, CodeType)]
        assert len(moved) == 2
        assert not set(map(id, moved)) & set(map(id, inner))
        assert outer() == [1, 2]

    in_a_fork(inner_ones)
