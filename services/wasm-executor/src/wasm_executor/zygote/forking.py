"""The zygote: wasmtime is imported once, and a container is a fork of what is then in memory.

It holds nothing of any pod: a spawn is a message without content that carries descriptors. It has
one thread, and makes no Store and compiles nothing, because thread pools and random seeds made
before a fork are broken after it. Killed, it is started again; containers do not notice, since
they are the keeper's children.
"""

import os
import signal
import socket
from collections.abc import Mapping
from typing import Final

from wasm_executor.container.process import Descriptors, live_and_exit
from wasm_executor.keeper.descriptors import receive
from wasm_executor.keeper.linux import disable_huge_pages, name_process
from wasm_executor.runtimes.interface import Runtime
from wasm_executor.runtimes.registry import load_runtimes
from wasm_executor.zygote.freezing import freeze_heap

READY: Final = b"ready"
SPAWN: Final = b"spawn"
DESCRIPTORS: Final = len(Descriptors.__struct_fields__)


def serve(keeper: socket.socket, keeper_pid: int) -> None:
    """Fork a container for each message of the keeper, until it closes its end."""
    # The keeper decides when this process ends; a terminal's Ctrl-C does not.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    disable_huge_pages()
    name_process("wasmlet-zygote")
    runtimes = load_runtimes()
    freeze_heap()
    keeper.sendall(READY)
    while True:
        message, fds = receive(keeper, len(SPAWN), DESCRIPTORS)
        if not message:
            return
        _fork_container(
            Descriptors(**dict(zip(Descriptors.__struct_fields__, fds, strict=True))),
            keeper_pid,
            runtimes,
        )
        for descriptor in fds:
            os.close(descriptor)


def _fork_container(fds: Descriptors, keeper_pid: int, runtimes: Mapping[str, Runtime]) -> None:
    """Fork twice and reap the one between: the container is then the keeper's child.

    The container waits at a pipe until that is so. Without a fork (EAGAIN at a limit of
    processes) its gate closes unopened, which the keeper sees.
    """
    barrier, release = os.pipe()
    try:
        between = os.fork()
    except OSError:
        os.close(barrier)
        os.close(release)
        return
    if between == 0:
        _fork_again(fds, keeper_pid, runtimes, (barrier, release))
    os.close(barrier)
    os.waitpid(between, 0)
    os.close(release)


def _fork_again(
    fds: Descriptors,
    keeper_pid: int,
    runtimes: Mapping[str, Runtime],
    pipe: tuple[int, int],
) -> None:
    """Runs in the process between; neither it nor the container returns from here."""
    barrier, release = pipe
    try:
        if os.fork() == 0:
            os.close(release)
            os.read(barrier, 1)
            live_and_exit(fds, keeper_pid, runtimes)
    finally:
        os._exit(0)
