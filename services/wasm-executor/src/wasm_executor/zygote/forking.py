"""The zygote: wasmtime is imported once, and a container is a fork of what is then in memory.

It holds nothing of any pod: a spawn is a message without content that carries descriptors. It has
one thread, and makes no Store and compiles nothing, because thread pools and random seeds made
before a fork are broken after it. Killed, it is started again; containers do not notice, since
they are the keeper's children.
"""

import os
import resource
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from wasm_executor.container.process import live_and_exit
from wasm_executor.keeper.descriptors import receive
from wasm_executor.keeper.linux import disable_huge_pages, name_process, renounce_privileges
from wasm_executor.runtimes.interface import Runtime
from wasm_executor.runtimes.registry import load_runtimes
from wasm_executor.zygote.freezing import freeze_heap
from wasm_executor.zygote.wire import READY, SPAWN, Descriptors

FIELDS: Final = Descriptors.__struct_fields__
OOM_SCORE: Final = 500
BATCH: Final = 8
"""Containers that share one process between: each saves a fork, and waits for the others'."""


def serve(keeper: socket.socket, keeper_pid: int) -> None:
    """Fork a container for each message of the keeper, until it closes its end."""
    _give_up_for_all()
    runtimes = load_runtimes()
    freeze_heap()
    keeper.sendall(READY)
    while orders := _next_orders(keeper):
        _fork_containers(orders, keeper_pid, runtimes)
        for order in orders:
            for descriptor in msgspec.structs.astuple(order):
                os.close(descriptor)


def _next_orders(keeper: socket.socket) -> list[Descriptors]:
    """Wait for a container to fork, and take along what else is there already."""
    orders: list[Descriptors] = []
    while len(orders) < BATCH:
        try:
            message, fds = receive(
                keeper, len(SPAWN), len(FIELDS), socket.MSG_DONTWAIT if orders else 0
            )
        except BlockingIOError:
            break
        if not message:
            break
        orders.append(Descriptors(**dict(zip(FIELDS, fds, strict=True))))
    return orders


def _give_up_for_all() -> None:
    """Everything that a fork inherits is set here, once."""
    name_process("wasmlet-zygote")
    # Signals have their plain effect in a guest; Python's own handler would not.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _be_killed_before_the_keeper()
    renounce_privileges()
    disable_huge_pages()


def _be_killed_before_the_keeper() -> None:
    """Where memory runs out after all, a guest's end costs less than everybody's."""
    score = Path("/proc/self/oom_score_adj")
    if int(score.read_text()) < OOM_SCORE:
        score.write_text(str(OOM_SCORE))


def _fork_containers(
    orders: Sequence[Descriptors], keeper_pid: int, runtimes: Mapping[str, Runtime]
) -> None:
    """Fork twice and reap the process between: the containers are then the keeper's children.

    They wait at a pipe until that is so. Without a fork (EAGAIN at a limit of processes) their
    gates close unopened, which the keeper sees.
    """
    barrier, release = os.pipe()
    with suppress(OSError):
        between = os.fork()
        if between == 0:
            _fork_each(orders, keeper_pid, runtimes, (barrier, release))
        os.waitpid(between, 0)
    os.close(barrier)
    os.close(release)


def _fork_each(
    orders: Sequence[Descriptors],
    keeper_pid: int,
    runtimes: Mapping[str, Runtime],
    pipe: tuple[int, int],
) -> NoReturn:
    """Runs in the process between; neither it nor a container returns from here."""
    barrier, release = pipe
    try:
        for order in orders:
            if os.fork() == 0:
                os.close(release)
                os.read(barrier, 1)
                live_and_exit(order, keeper_pid, runtimes)
    finally:
        os._exit(0)
