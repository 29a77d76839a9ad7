"""The zygote: wasmtime is imported once, and a container is a fork of what is then in memory.

It holds nothing of any pod. A few spares are forked before anybody wants them; they wait at the
keeper's socket themselves, so that what an order carries reaches the container alone and no start
waits for a fork. The zygote has one thread, which makes no Store and compiles nothing, because
thread pools and random seeds made before a fork are broken after it; what it rehearses has a
thread of its own, which ends. Killed, it is started again; containers do not notice, since they are
the keeper's children.
"""

import os
import resource
import select
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from wasm_executor.container.confining import TO_ASK_OTHERS
from wasm_executor.container.landlock import landlock_abi
from wasm_executor.container.needs import ALL_SOCKETS, NOTHING
from wasm_executor.container.process import await_order_and_live
from wasm_executor.container.seccomp import prepare
from wasm_executor.keeper.linux import (
    CAP_SYS_ADMIN,
    disable_huge_pages,
    drop_capabilities,
    name_process,
    renounce_privileges,
)
from wasm_executor.runtimes.interface import Runtime
from wasm_executor.runtimes.registry import load_runtimes
from wasm_executor.zygote.freezing import freeze_heap
from wasm_executor.zygote.rehearsing import rehearse
from wasm_executor.zygote.siblings import Forking
from wasm_executor.zygote.wire import READY, receive_order

OOM_SCORE: Final = 500
DESCRIPTORS: Final = 16_384
"""Of a container. Each costs the kernel memory that counts as nobody's."""
NONE_OF: Final = (
    resource.RLIMIT_CORE,
    resource.RLIMIT_MEMLOCK,
    resource.RLIMIT_MSGQUEUE,
    resource.RLIMIT_NICE,
    resource.RLIMIT_RTPRIO,
)
SPARES: Final = 4
"""Each weighs a quarter of a megabyte."""
FEW: Final = 1
"""So many left are filled up, in one go."""
REFILL_PAUSE_MS: Final = 5
"""While spares are left, the guest that has just been ordered goes first."""
FORK_RETRY_MS: Final = 100


def serve(
    keeper: socket.socket, keeper_pid: int, *, own_roots: bool = False, rehearsed: bool = True
) -> None:
    """Keep spares ready until the keeper closes its end.

    With roots of their own, containers keep the right to mount until they have them.
    """
    _give_up_for_all(but=CAP_SYS_ADMIN if own_roots else None)
    runtimes = load_runtimes()
    for runtime in runtimes.values():
        needs = getattr(runtime, "needs", NOTHING)
        prepare((needs, needs - TO_ASK_OTHERS, needs | ALL_SOCKETS))
    if rehearsed:
        rehearse(runtimes)
    freeze_heap()
    spares = Spares(keeper, keeper_pid, runtimes, own_roots=own_roots)
    spares.refill()
    keeper.sendall(READY)
    while spares.await_departure():
        spares.refill()


class Spares:
    """The containers without an order. Each holds a pipe that ends with its wait, or its life."""

    def __init__(
        self,
        orders: socket.socket,
        keeper_pid: int,
        runtimes: Mapping[str, Runtime],
        *,
        own_roots: bool,
    ) -> None:
        self._orders = orders
        self._keeper_pid = keeper_pid
        self._runtimes = runtimes
        self._own_roots = own_roots
        self._forking = Forking()
        self._waiting: set[int] = set()
        self._poll = select.poll()
        self._poll.register(orders, 0)  # its end is always told

    def await_departure(self) -> bool:
        """Return when few spares are left; False when the keeper has closed its end."""
        while len(self._waiting) > FEW:
            if not self._see(None):
                return False
        return self._see(REFILL_PAUSE_MS if self._waiting else 0)

    def refill(self) -> None:
        """Fork what is missing. Where no fork succeeds, nobody may wait for one."""
        complete = all(self._fork() for _ in range(SPARES - len(self._waiting)))
        if not complete and self._see(FORK_RETRY_MS) and not self._waiting:
            self._turn_away()

    def _fork(self) -> bool:
        wait, life = os.pipe()
        try:
            if self._forking.sibling() == 0:
                await_order_and_live(
                    self._orders, life, self._keeper_pid, self._runtimes, own_root=self._own_roots
                )
        except OSError:  # a limit of processes
            os.close(wait)
            return False
        finally:
            os.close(life)
        self._waiting.add(wait)
        self._poll.register(wait, 0)
        return True

    def _see(self, timeout_ms: int | None) -> bool:
        for fd, _ in self._poll.poll(timeout_ms):
            if fd == self._orders.fileno():
                return False
            self._poll.unregister(fd)
            self._waiting.discard(fd)
            os.close(fd)
        return True

    def _turn_away(self) -> None:
        """Drop what was ordered: its gate closes unopened, which the keeper sees."""
        while (order := receive_order(self._orders, socket.MSG_DONTWAIT)) is not None:
            order.close()


def _give_up_for_all(*, but: int | None) -> None:
    """Everything that a fork inherits is set here, once."""
    name_process("wasmlet-zygote")
    # Signals have their plain effect in a guest; Python's own handler would not.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for nothing_of in NONE_OF:
        resource.setrlimit(nothing_of, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(most, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    _be_killed_before_the_keeper()
    drop_capabilities(but=but)
    renounce_privileges()
    disable_huge_pages()
    landlock_abi()  # found out once, for all


def _be_killed_before_the_keeper() -> None:
    """Where memory runs out after all, a guest's end costs less than everybody's."""
    score = Path("/proc/self/oom_score_adj")
    if int(score.read_text()) < OOM_SCORE:
        score.write_text(str(OOM_SCORE))
