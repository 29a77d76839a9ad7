"""No descriptors left, or a call that is given up: what was opened on the way is closed."""

import asyncio
import os
import resource
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from podclock import plan_of

from contract.messages.pod import RestartPolicy
from contract.messages.stream import ExecOpen
from wasm_executor.checking.sockets import Holding
from wasm_executor.domain.frame import Rules
from wasm_executor.domain.pod import Pod
from wasm_executor.supervisor.execs import modulefiles
from wasm_executor.supervisor.execs.modulefiles import ModuleFiles
from wasm_executor.supervisor.moments import now
from wasm_executor.supervisor.streams.forwarding import connected_to
from wasm_executor.supervisor.streams.streaming import _Ends


def held() -> list[str]:
    return sorted(each.name for each in Path("/proc/self/fd").iterdir())


@contextmanager
def room_for(count: int) -> Iterator[None]:
    """Leave this process so many descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, held()))
    filling = [os.open(os.devnull, os.O_RDONLY)]
    while filling[-1] < highest:
        filling.append(os.open(os.devnull, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (filling[-1] + 1 + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in filling:
            os.close(each)


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"stdin": True, "stdout": True, "stderr": True}, 6),
        ({"stdin": True, "stdout": False, "stderr": False}, 4),
        ({"stdin": True, "stdout": True, "tty": True}, 3),
    ],
)
def test_a_command_without_descriptors_to_spare_keeps_none(
    options: dict[str, Any], needed: int
) -> None:
    command = ExecOpen(
        stream="s", namespace="ns", pod="p", container="c", command=("x",), **options
    )
    before = held()
    for count in range(needed):
        with room_for(count), pytest.raises(OSError, match=r"Too many open files|out of pty"):
            _Ends(command)
        assert held() == before


def test_a_forward_without_descriptors_to_spare_keeps_none() -> None:
    class OwnSockets:
        def holding(self, *_asked: object) -> Holding:
            return Holding.OWN

    pod = Pod.new(plan_of(RestartPolicy.ALWAYS), Rules(), now())
    holders: Any = OwnSockets()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, before = server.getsockname()[1], held()
        for count in range(2):
            with room_for(count), pytest.raises(OSError, match="Too many open files"):
                connected_to(pod, port, holders)
            assert held() == before


async def test_a_module_that_is_looked_for_in_vain_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looking, given_up = threading.Event(), threading.Event()
    end, found = os.pipe()

    def look(*_where: object) -> int:
        looking.set()
        given_up.wait(20)
        return found

    monkeypatch.setattr(modulefiles, "open_within", look)
    async with asyncio.TaskGroup() as tasks:
        finding = tasks.create_task(ModuleFiles(asyncio.Future()).find([], "/m.wasm"))
        await asyncio.to_thread(looking.wait, 20)
        finding.cancel()
    assert finding.cancelled()
    given_up.set()
    readable, _, _ = await asyncio.to_thread(select.select, [end], [], [], 20)
    assert readable == [end]
    os.close(end)
