"""Leaves a container's process its own files and calls, before any code of its guest runs.

The runtime reads the compiled artifact, and with a network the resolver's files; the guest has its
folders. It makes the system calls that its runtime needs. Where the kernel has no Landlock, or too
old a one, or no seccomp, the other walls stand alone: the guest starts all the same, and the
supervisor has said so at its own start.
"""

import os
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Final

from wasm_executor.container.beneath import open_beneath, openable
from wasm_executor.container.landlock import BIND, CONNECT, restrict
from wasm_executor.container.needs import ALL_SOCKETS, NOTHING, Need, Needs
from wasm_executor.container.ownroot import move_to_own_root
from wasm_executor.container.plan import Preopen, ProcessPlan, StartFailureReason
from wasm_executor.container.programs import also_read, also_run, needs_of_program, not_below
from wasm_executor.container.seccomp import restrict_calls
from wasm_executor.runtimes.errors import GuestNotStartedError

RESOLVER_FILES: Final = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
)
"""What the C library reads to find a name's address: each as it is at the start."""
TO_ASK_OTHERS: Final = frozenset({Need.CONNECT})
"""Of handlers that may make requests of their own."""
CERTIFICATES: Final = (
    *("/etc/ssl", "/usr/lib/ssl", "/usr/share/ca-certificates", "/etc/pki"),
    "/usr/local/share/ca-certificates",  # those that a machine has been given of its own
)
"""Whom a handler's own requests trust: as OpenSSL's builds have it."""


def confine(plan: ProcessPlan, needs: Needs = NOTHING, *, own_root: bool = False) -> ProcessPlan:
    """Leave this process what its guest may see and its runtime needs, as far as the kernel can.

    With a root of its own, for which it needs the right to mount, there is nothing else to see at
    all. Return the plan with where its files are then. Raise `GuestNotStartedError`.
    """
    needs = needs_of(plan, needs)
    if own_root:
        code = also_run(plan.external, with_libraries=True)
        read = not_below(_of_the_machine(plan), code)
        plan = move_to_own_root(plan, _there(read), _there(code))
    fence_files(plan, needs)
    try:
        restrict_calls(needs)
    except OSError as error:
        message = f"the container's calls cannot be fenced off: {os.strerror(error.errno or 0)}"
        raise _failure(message) from error
    return plan


def needs_of(plan: ProcessPlan, needs: Needs) -> Needs:
    """Return what of its runtime's needs this container has, and what the node adds."""
    if plan.external is not None:
        return needs_of_program(plan.external)
    if plan.network:
        return needs | ALL_SOCKETS
    return needs if plan.http is None or plan.http.allowed_hosts else needs - TO_ASK_OTHERS


def fence_files(plan: ProcessPlan, needs: Needs = NOTHING) -> bool:
    """Leave this process the plan's files; False where the kernel cannot.

    A preopen's changeable part is opened once more by the runtime, and may be another folder of
    the same volume by then: one that is not allowed, so that its guest sees less, never more.
    Raise `GuestNotStartedError`.
    """
    with ExitStack() as opened:
        paths: dict[bool, list[str]] = {True: _also_read(plan), False: []}
        for each in plan.preopens:
            descriptor = _open(each)
            opened.callback(os.close, descriptor)
            paths[each.read_only].append(openable(descriptor))
        try:
            run = _there(also_run(plan.external))
            return restrict(paths[True], paths[False], run, tcp=_tcp_rights(needs))
        except OSError as error:
            message = f"the container's files cannot be fenced off: {os.strerror(error.errno or 0)}"
            raise _failure(message) from error


def _tcp_rights(needs: Needs) -> int:
    return (CONNECT if Need.CONNECT in needs else 0) | (BIND if Need.LISTEN in needs else 0)


def _also_read(plan: ProcessPlan) -> list[str]:
    return list(_there((plan.artifact.path, *_of_the_machine(plan))))


def _of_the_machine(plan: ProcessPlan) -> tuple[str, ...]:
    asks = plan.http is not None and bool(plan.http.allowed_hosts)
    named = RESOLVER_FILES if plan.network or asks else ()
    if plan.external is not None:
        return (*also_read(plan.external), *named)
    trusted = CERTIFICATES if asks else ()
    return (*named, *trusted)


def _there(paths: Iterable[str]) -> Iterable[str]:
    """Leave out what is not there; a lost artifact is the runtime's to tell."""
    return (each for each in paths if os.path.exists(each))  # noqa: PTH110 - on every start's way


def _open(folder: Preopen) -> int:
    try:
        return open_beneath(folder.host_path, folder.beneath)
    except OSError as error:
        raise _failure(f"the folder for {folder.guest_path} cannot be opened") from error


def _failure(message: str) -> GuestNotStartedError:
    return GuestNotStartedError(StartFailureReason.INSTANTIATION_FAILED, message)
