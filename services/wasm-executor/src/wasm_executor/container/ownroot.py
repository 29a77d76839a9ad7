"""A file system of its own for a container's process: what its plan names, and nothing besides.

This is the `node` profile, for executors that may mount. The process leaves the machine's file
system for an empty one, into which its volumes and its module are bound, those that are read-only
as read-only mounts. Landlock and seccomp then hold as without it; but a path outside is no longer
refused: there is none. `/proc` is there for what the process has open itself, and shows no process
of others.
"""

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from typing import Final, NamedTuple

import msgspec

from wasm_executor.container.beneath import open_beneath
from wasm_executor.container.mounting import (
    MountAttribute,
    become_root,
    bind,
    hang_up,
    leave_mounts_of_others,
    make_read_only,
    new_file_system,
)
from wasm_executor.container.plan import Preopen, ProcessPlan, StartFailureReason
from wasm_executor.keeper.linux import hold_capabilities
from wasm_executor.runtimes.errors import GuestNotStartedError

MODULE: Final = "module"
VOLUMES: Final = "volumes"
_ANYWHERE: Final = "/proc"
"""Where the new root hangs for a moment; it is there on every machine."""
_CODE: Final = MountAttribute.READ_ONLY | MountAttribute.NO_SUID | MountAttribute.NO_DEVICES
_WRITABLE: Final = MountAttribute.NO_SUID | MountAttribute.NO_DEVICES | MountAttribute.NO_PROGRAMS
_READABLE: Final = _WRITABLE | MountAttribute.READ_ONLY


class _Bound(NamedTuple):
    source: int
    path: str
    attributes: MountAttribute


def why_not() -> str | None:
    """Try it in a process that ends with it; return what is in the way."""
    child = os.fork()
    if child == 0:
        code = errno.EIO
        try:
            leave_mounts_of_others()
            _become_root_of(())
            code = 0
        except OSError as error:
            code = error.errno or errno.EIO
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return os.strerror(code) if code else None


def move_to_own_root(
    plan: ProcessPlan, also_read: Iterable[str], also_run: Iterable[str] = ()
) -> ProcessPlan:
    """Leave this process the plan's files alone; return the plan with where they are now.

    It gives up the right to mount. Raise `GuestNotStartedError`.
    """
    try:
        leave_mounts_of_others()
        with ExitStack() as opened:
            _become_root_of(_sources(plan, also_read, also_run, opened))
        hold_capabilities(0)
    except OSError as error:
        message = f"the container's own file system cannot be made: {error.strerror}"
        raise _failure(message) from error
    return _as_it_is_there(plan)


def _sources(
    plan: ProcessPlan, also_read: Iterable[str], also_run: Iterable[str], opened: ExitStack
) -> list[_Bound]:
    """Open all that is to be bound, while it can be seen."""

    def held(descriptor: int) -> int:
        opened.callback(os.close, descriptor)
        return descriptor

    read = os.O_PATH | os.O_CLOEXEC
    found = [_Bound(held(os.open(path, read)), path.lstrip("/"), _READABLE) for path in also_read]
    found += [_Bound(held(os.open(path, read)), path.lstrip("/"), _CODE) for path in also_run]
    if os.path.exists(plan.artifact.path):  # noqa: PTH110 - a lost one is the runtime's to tell
        found.append(_Bound(held(os.open(plan.artifact.path, read)), MODULE, _CODE))
    for number, folder in enumerate(plan.preopens):
        attributes = _READABLE if folder.read_only else _WRITABLE
        found.append(_Bound(held(_open(folder)), f"{VOLUMES}/{number}", attributes))
    return found


def _open(folder: Preopen) -> int:
    try:
        return open_beneath(folder.host_path, folder.beneath)
    except OSError as error:
        raise _failure(f"the folder for {folder.guest_path} cannot be opened") from error


def _become_root_of(sources: Iterable[_Bound]) -> None:
    with new_file_system("tmpfs", {"size": "1m", "mode": "0755"}) as root:
        hang_up(root, _ANYWHERE)
        for each in sources:
            _make_place(root, each)
            bind(each.source, each.path, root, each.attributes)
        os.mkdir("proc", dir_fd=root)
        with new_file_system("proc", {"hidepid": "ptraceable", "subset": "pid"}) as processes:
            hang_up(processes, "proc", root)
        make_read_only(root)
        become_root(root)


def _make_place(root: int, bound: _Bound) -> None:
    """Make the folder or file that is mounted over."""
    *parents, _ = bound.path.split("/")
    for depth in range(len(parents)):
        with suppress(FileExistsError):
            os.mkdir("/".join(parents[: depth + 1]), dir_fd=root)
    if stat.S_ISDIR(os.fstat(bound.source).st_mode):
        os.mkdir(bound.path, dir_fd=root)
    else:
        made = os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC
        os.close(os.open(bound.path, made, 0o444, dir_fd=root))


def _as_it_is_there(plan: ProcessPlan) -> ProcessPlan:
    preopens = tuple(
        msgspec.structs.replace(each, host_path=f"/{VOLUMES}/{number}", beneath=())
        for number, each in enumerate(plan.preopens)
    )
    artifact = msgspec.structs.replace(plan.artifact, path=f"/{MODULE}")
    return msgspec.structs.replace(plan, artifact=artifact, preopens=preopens)


def _failure(message: str) -> GuestNotStartedError:
    return GuestNotStartedError(StartFailureReason.INSTANTIATION_FAILED, message)
