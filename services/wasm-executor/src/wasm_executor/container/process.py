"""One container's process, from its fork to its exit.

It starts as a copy of the zygote: a spare, which binds its life to the keeper's, gives up what it
does not need and waits for an order. With one it tells the keeper that it is there, and while that
records it, it reads its plan and gives up what is not in it. Only when it is recorded does it say
anything or go on, so that no guest ever runs that a next keeper could not find. It leaves by
`os._exit`: the interpreter's own way out would run the zygote's cleanups.
"""

import os
import socket
from collections.abc import Mapping
from typing import Final, NoReturn

import msgspec

from wasm_executor.container.confining import confine
from wasm_executor.container.needs import NOTHING
from wasm_executor.container.plan import (
    Outcome,
    ProcessPlan,
    StartFailure,
    StartFailureReason,
    StartReport,
    plan_encoder,
    read_plan,
)
from wasm_executor.keeper.descriptors import close_all_but, receive
from wasm_executor.keeper.linux import die_with_parent, name_process
from wasm_executor.runtimes.errors import GuestNotStartedError, GuestTrappedError
from wasm_executor.runtimes.interface import Runtime
from wasm_executor.zygote.wire import GO, HELLO, Descriptors, receive_order

START_ERROR_CODE: Final = 128
TRAP_CODE: Final = 134
BROKEN_CODE: Final = 70
"""sysexits' EX_SOFTWARE: this program is wrong, not the guest."""
NUL: Final = "\0"
MOST_LISTENERS: Final = 64
MAX_TEXT: Final = 4096
"""What a termination message may hold."""


class NotLetInError(Exception):
    """The keeper has not recorded this container, and will not."""


def await_order_and_live(
    orders: socket.socket,
    life: int,
    keeper_pid: int,
    runtimes: Mapping[str, Runtime],
    *,
    own_root: bool,
) -> NoReturn:
    """Be a spare, then the container. Call it in the final child, once its parent is the keeper.

    `life` is closed when the wait is over, so that the zygote knows. No order comes any more when
    the keeper has closed its end.
    """
    code = BROKEN_CODE
    try:
        if _is_bound_to(keeper_pid):
            _stand_alone(orders.fileno(), life)
            fds = receive_order(orders)
            code = 0 if fds is None else _begin(fds, runtimes, own_root=own_root)
    except BaseException as error:  # noqa: BLE001 - whatever it is, this process ends here
        os.write(2, f"wasmlet: the container's process failed: {error!r}\n".encode())
    finally:
        os._exit(code)


def _begin(fds: Descriptors, runtimes: Mapping[str, Runtime], *, own_root: bool) -> int:
    _shed(fds)
    gate = socket.socket(fileno=fds.gate)
    gate.sendall(HELLO)
    try:
        return live(fds.plan, fds.outcome, runtimes, gate, own_root=own_root)
    except NotLetInError:
        return BROKEN_CODE


def _is_bound_to(keeper_pid: int) -> bool:
    """Set earlier, the death signal would have come with the reparenting itself."""
    die_with_parent()
    return os.getppid() == keeper_pid


def _stand_alone(*kept: int) -> None:
    """Become a process of its own: what the zygote could not do for all of them."""
    os.setsid()
    name_process("wasmlet-spare")
    close_all_but(kept)


def _shed(fds: Descriptors) -> None:
    """Hold what was ordered, and nothing else."""
    name_process("wasmlet-guest")
    for target, source in enumerate((fds.stdin, fds.stdout, fds.stderr)):
        os.dup2(source, target)
    close_all_but((fds.plan, fds.outcome, fds.gate))


def live(
    plan_fd: int,
    outcome: int,
    runtimes: Mapping[str, Runtime],
    gate: socket.socket,
    *,
    own_root: bool = False,
) -> int:
    """Read the plan, give up all that is not in it, and be the guest; return the exit code.

    Raise `NotLetInError`, with nothing said, where the keeper does not open the gate.
    """
    with socket.socket(fileno=plan_fd) as supervisor:
        try:
            try:
                plan = _plan(supervisor)
                runtime = _runtime_of(plan, runtimes)
                plan = confine(plan, getattr(runtime, "needs", NOTHING), own_root=own_root)
            finally:
                _pass(gate)  # also with bad news: who is not recorded cannot be heard
            return runtime.run(plan, lambda: _report(supervisor, None))
        except msgspec.DecodeError as error:
            failure = StartFailure(reason=StartFailureReason.INVALID_PLAN, message=str(error))
        except GuestNotStartedError as error:
            failure = error.failure
        except GuestTrappedError as error:
            return _trapped(str(error), outcome)
        failure = msgspec.structs.replace(failure, message=shortened(failure.message))
        _leave(Outcome(failure=failure), outcome)
        _report(supervisor, failure)
    return START_ERROR_CODE


def _pass(gate: socket.socket) -> None:
    with gate:
        if gate.recv(len(GO)) != GO:
            raise NotLetInError


def _plan(supervisor: socket.socket) -> ProcessPlan:
    listeners: list[int] = []

    def take(size: int) -> bytes:
        data, fds = receive(supervisor, size, MOST_LISTENERS)
        listeners.extend(fds)
        return data

    plan = read_plan(take)
    if plan is None:
        raise GuestNotStartedError(StartFailureReason.PLAN_LOST, "the plan did not come whole")
    _require_whole_strings(plan)
    return msgspec.structs.replace(plan, listeners=tuple(listeners)) if listeners else plan


def _require_whole_strings(plan: ProcessPlan) -> None:
    """A NUL character ends a string on its way to the guest: the rest would be lost unsaid."""
    cut = [f"argument {number}" for number, text in enumerate(plan.args) if NUL in text]
    cut += [f"environment variable {name!r}" for name, value in plan.env if NUL in name + value]
    if cut:
        message = f"a NUL character is in {', '.join(cut)}"
        raise GuestNotStartedError(StartFailureReason.INVALID_PLAN, message)


def _runtime_of(plan: ProcessPlan, runtimes: Mapping[str, Runtime]) -> Runtime:
    """Return the one that is named, else the first that takes the artifact."""
    if plan.runtime:
        runtime = runtimes.get(plan.runtime)
    else:
        accepting = (each for _, each in sorted(runtimes.items()) if each.accepts(plan.artifact))
        runtime = next(accepting, None)
    if runtime is None:
        known = ", ".join(sorted(runtimes))
        wanted = repr(plan.runtime) if plan.runtime else "that takes this artifact"
        message = f"there is no runtime {wanted} here; there is {known}"
        raise GuestNotStartedError(StartFailureReason.INVALID_PLAN, message)
    return runtime


def _trapped(text: str, outcome: int) -> int:
    _leave(Outcome(trap=shortened(text)), outcome)
    write_whole(2, f"Error: {text}\n".encode())
    return TRAP_CODE


def _report(supervisor: socket.socket, failure: StartFailure | None) -> None:
    """Tell the supervisor, if it is still there; the next one reads the keeper's table."""
    try:
        supervisor.sendall(plan_encoder.encode(StartReport(failure=failure)))
        supervisor.close()
    except OSError:
        supervisor.close()


def _leave(outcome: Outcome, descriptor: int) -> None:
    os.pwrite(descriptor, plan_encoder.encode(outcome), 0)


def shortened(text: str) -> str:
    return text.encode()[:MAX_TEXT].decode(errors="ignore")


def write_whole(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
