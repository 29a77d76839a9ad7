"""A container's start, gone through before the first fork.

When Python's code runs for the first time, the interpreter writes into it what it finds out, and
ctypes into its types. A container starts once, so each of them wrote all over the heap, and
copied every page of it. Here a start is gone through beforehand, and what is written then is what
all containers share.

First in a fork, which tells what code runs: it is laid in one place. Then in threads that end,
since Landlock and seccomp hold a thread for good, and the seeds of wasmtime's chance are a thread's
too: no container has one that another has. The guest has nothing to say and no secret; it asks for
nothing, because what waits would start wasmtime's own threads.

It may fail in any way. A thread that hangs may hold what a fork needs, so that zygote ends, and
the keeper's next does not rehearse.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import FrameType
from typing import Final, NoReturn

import msgspec
from wasmtime import Module
from wasmtime.component import Component

from wasm_executor.container.plan import Artifact, ArtifactKind, Preopen, ProcessPlan, framed
from wasm_executor.container.process import await_order_and_live, live
from wasm_executor.runtimes.engine import new_engine
from wasm_executor.runtimes.interface import Runtime
from wasm_executor.zygote.freezing import fill_holes, lay_together
from wasm_executor.zygote.wire import GO, HELLO, SPAWN

REHEARSED: Final = "wasi"
"""The runtime whose containers are many."""
GUESTS: Final = {
    ArtifactKind.COMPONENT: """(component
        (core module $code (func (export "run") (result i32) i32.const 0))
        (core instance $made (instantiate $code))
        (func $run (result (result)) (canon lift (core func $made "run")))
        (instance (export "wasi:cli/run@0.2.0") (export "run" (func $run))))""",
    ArtifactKind.MODULE: '(module (memory (export "memory") 1) (func (export "_start")))',
}
"""The last is what the interpreter is prepared for where it can be for one of them only."""
TIMES: Final = 4
"""What the interpreter writes at first it may find wrong the next time."""
WITHIN_S: Final = 60


def plan_of(kind: ArtifactKind) -> ProcessPlan:
    return ProcessPlan(
        runtime=REHEARSED,
        artifact=Artifact(path=__file__, kind=kind, world="command"),
        args=("rehearsal", "of a start"),
        env=tuple((f"VARIABLE_{number}", "value") for number in range(10)),
        memory_limit_bytes=64 * 1024 * 1024,
        preopens=(
            Preopen(host_path="/", guest_path="/etc", read_only=True),
            Preopen(host_path="/", guest_path="/data", beneath=("proc",)),
        ),
    )


class OnStage:
    """A runtime whose guest is another than Landlock has been told of: a file without a name."""

    def __init__(
        self, runtime: Runtime, guest: int, then: Callable[[], None] = lambda: None
    ) -> None:
        self._runtime = runtime
        self._guest = f"/proc/self/fd/{guest}"
        self._then = then

    def prepare(self) -> None:
        """It is the other's, which is prepared."""

    def accepts(self, artifact: Artifact) -> bool:
        return self._runtime.accepts(artifact)

    def run(self, plan: ProcessPlan, on_started: Callable[[], None]) -> int:
        artifact = msgspec.structs.replace(plan.artifact, path=self._guest)
        plan = msgspec.structs.replace(plan, artifact=artifact)
        code = self._runtime.run(plan, on_started)
        self._then()
        return code


def rehearse(runtimes: Mapping[str, Runtime]) -> None:
    """Have a container's start behind it. Without it containers are the same, and cost more."""
    runtime = runtimes.get(REHEARSED)
    if runtime is None:
        return
    try:
        started = _starts_of(runtime)
    except Exception as error:  # noqa: BLE001 - whatever it is, containers start without it
        started = 0
        _say(repr(error))
    if started < TIMES * len(GUESTS):
        _say(f"{started} of {TIMES * len(GUESTS)} starts succeeded")


def _starts_of(runtime: Runtime) -> int:
    with ExitStack() as opened:
        guests = {kind: _compiled(kind) for kind in GUESTS}
        for guest in guests.values():
            opened.callback(os.close, guest)
        code: dict[int, None] = {}
        for kind, guest in reversed(guests.items()):
            code |= _code_that_runs(runtime, kind, guest)
        fill_holes()
        lay_together(code)
        stages = [(OnStage(runtime, guest), plan_of(kind)) for kind, guest in guests.items()]
        return sum(_starts(*each) for each in stages for _ in range(TIMES))


def _compiled(kind: ArtifactKind) -> int:
    """In a fork: the compiler starts threads."""
    guest = os.memfd_create("rehearsal")
    child = os.fork()
    if child == 0:
        signal.alarm(WITHIN_S)
        try:
            form = Module if kind is ArtifactKind.MODULE else Component
            os.write(guest, form(new_engine(), GUESTS[kind]).serialize())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return guest


def _code_that_runs(runtime: Runtime, kind: ArtifactKind, guest: int) -> dict[int, None]:
    """Have a container live as in earnest, and return the ids of the code that it ran, in order."""
    with ExitStack() as ends:
        keeper, orders = _pair(ends, socket.SOCK_SEQPACKET)
        gate, its_gate = _pair(ends, socket.SOCK_SEQPACKET)
        supervisor, its_plan = _pair(ends)
        reader, its_output = _pair(ends)
        null = ends.enter_context(open(os.devnull, "wb")).fileno()  # noqa: PTH123 - a descriptor
        child = os.fork()
        if child == 0:
            _live_and_tell(orders, runtime)
        fds = (guest, its_output.fileno(), null, its_plan.fileno(), null, its_gate.fileno())
        socket.send_fds(keeper, [SPAWN], fds)
        supervisor.sendall(framed(plan_of(kind)))
        for theirs in (orders, its_gate, its_plan, its_output):
            theirs.close()  # else its early end would not be seen
        if gate.recv(len(HELLO)):
            gate.send(GO)
        ids = reader.makefile("rb").read().split()
    os.waitpid(child, 0)
    return dict.fromkeys(map(int, ids))


def _pair(
    ends: ExitStack, kind: socket.SocketKind = socket.SOCK_STREAM
) -> tuple[socket.socket, socket.socket]:
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    return ends.enter_context(one), ends.enter_context(other)


def _live_and_tell(orders: socket.socket, runtime: Runtime) -> NoReturn:
    """Be a container that writes to its stdout what code has run. Its stdin is the guest."""
    ran: dict[int, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            ran.setdefault(id(frame.f_code))

    def tell() -> None:
        sys.setprofile(None)
        os.write(1, b" ".join(b"%d" % each for each in ran))

    signal.alarm(WITHIN_S)
    stage = {REHEARSED: OnStage(runtime, 0, tell)}
    sys.setprofile(note)
    await_order_and_live(orders, os.dup(2), os.getppid(), stage, own_root=False)


def _starts(stage: OnStage, plan: ProcessPlan) -> bool:
    """Live once in a thread, from the plan on: what comes before it would be the process's."""
    codes: list[int] = []

    def start() -> None:
        supervisor, container = socket.socketpair()
        keeper, gate = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with supervisor, keeper, open(os.devnull, "wb") as outcome:  # noqa: PTH123 - a descriptor
            supervisor.sendall(framed(plan))
            keeper.sendall(GO)
            codes.append(live(container.detach(), outcome.fileno(), {REHEARSED: stage}, gate))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join(WITHIN_S)
    if thread.is_alive():
        _say(f"it hangs for {WITHIN_S} s")
        os._exit(1)
    return codes == [0]


def _say(what: str) -> None:
    os.write(2, f"wasmlet: the rehearsal of a start: {what}\n".encode())
