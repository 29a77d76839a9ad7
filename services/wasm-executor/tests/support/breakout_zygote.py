"""A zygote whose guests have broken out: they run native code in their container's process."""

import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Final
from unittest.mock import patch

import breakout_tries
import msgspec

from wasm_executor.container.needs import NOTHING, Need, Needs
from wasm_executor.container.plan import Artifact, ProcessPlan
from wasm_executor.runtimes.interface import Runtime
from wasm_executor.runtimes.registry import load_runtimes
from wasm_executor.zygote import forking


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the process says of itself, and what it has reached."""

    reached: dict[str, bool]
    environment: dict[str, str]
    descriptors: list[int]


class BrokenOut:
    """Runs the tries in the guest's place; its first argument names the targets."""

    def __init__(self, needs: Needs) -> None:
        self.needs: Final = needs

    def prepare(self) -> None: ...

    def accepts(self, artifact: Artifact) -> bool:
        return not artifact.path

    def run(self, plan: ProcessPlan, on_started: Callable[[], None]) -> int:
        on_started()
        held = [fd for fd in range(64) if is_open(fd)]
        targets = msgspec.json.decode(plan.args[0], type=breakout_tries.Targets)
        found = Found(
            reached=breakout_tries.reach(targets), environment=dict(os.environ), descriptors=held
        )
        os.write(1, msgspec.json.encode(found) + b"\n")
        return 0


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def with_broken_out() -> Mapping[str, Runtime]:
    serving = BrokenOut(frozenset({Need.SERVE, Need.WORKERS}))
    return {**load_runtimes(), "broken-out": BrokenOut(NOTHING), "broken-out-serving": serving}


if __name__ == "__main__":
    keeper_fd, keeper_pid = (int(argument) for argument in sys.argv[1:])
    with patch.object(forking, "load_runtimes", with_broken_out):
        forking.serve(socket.socket(fileno=keeper_fd), keeper_pid)
