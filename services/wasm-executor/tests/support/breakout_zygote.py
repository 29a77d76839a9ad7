"""A zygote whose guests have broken out: they run native code in their container's process."""

import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from unittest.mock import patch

import breakout_tries
import msgspec

from wasm_executor.container.needs import NOTHING, Needs
from wasm_executor.container.plan import Artifact, ProcessPlan
from wasm_executor.runtimes.external import ExternalRuntime
from wasm_executor.runtimes.interface import Runtime
from wasm_executor.runtimes.registry import load_runtimes
from wasm_executor.runtimes.wagi.runtime import WagiRuntime
from wasm_executor.runtimes.wasihttp.runtime import WasiHttpRuntime
from wasm_executor.zygote import forking

PLACES: Final = ("etc", "home", "module", "proc", "root", "tmp", "usr", "var", "volumes")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the process says of itself, and what it has reached."""

    reached: dict[str, bool]
    environment: dict[str, str]
    descriptors: list[int]
    root: list[str]
    """Which of some places there are; a folder is seen whether it opens or not."""


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
        told = msgspec.json.decode(plan.args[0], type=breakout_tries.Targets)
        writable, read_only = (folder.host_path for folder in plan.preopens)
        targets = msgspec.structs.replace(
            told,
            writable=writable,
            read_only=read_only,
            artifact=plan.artifact.path,
            listeners=plan.listeners,
        )
        found = Found(
            reached=breakout_tries.reach(targets),
            environment=dict(os.environ),
            descriptors=held,
            root=[name for name in PLACES if Path("/", name).exists()],
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
    return {
        **load_runtimes(),
        "broken-out": BrokenOut(NOTHING),
        "broken-out-serving": BrokenOut(WasiHttpRuntime.needs),
        "broken-out-wagi": BrokenOut(WagiRuntime.needs),
        "broken-out-program": BrokenOut(ExternalRuntime.needs),
    }


if __name__ == "__main__":
    profile, _rehearsal, keeper_fd, keeper_pid = sys.argv[1:]
    keeper = socket.socket(fileno=int(keeper_fd))
    with patch.object(forking, "load_runtimes", with_broken_out):
        forking.serve(keeper, int(keeper_pid), own_roots=profile == "node")
