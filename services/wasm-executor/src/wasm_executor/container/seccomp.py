"""The third wall: which system calls a container's process may make at all (seccomp).

Landlock bounds which files can be opened, and nothing else. This bounds everything else: no program
is started, no other process is touched, no socket is made unless its runtime needs one, and most of
the kernel's surface is out of reach. What is not in the tables is refused with EPERM, so that a
library that only tries a call goes on without it. The program is made once, in the zygote; a
container puts its own pid in and installs it.
"""

import errno
import os
import platform
import struct
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

import msgspec

from wasm_executor.container.bpf import (
    ALLOWED,
    Argument,
    Condition,
    NullPointer,
    allowed_if,
    assembled,
    by_number,
    on_architecture,
    refused,
)
from wasm_executor.container.needs import Need, Needs
from wasm_executor.container.syscalls import AARCH64, NUMBERS, X86_64
from wasm_executor.keeper.linux import (
    PR_SET_NAME,
    PR_SET_PDEATHSIG,
    CallFilter,
    has_seccomp,
    renounce_privileges,
)

ALWAYS: Final[dict[str, str]] = {
    "memory": "brk mmap munmap mprotect mremap madvise memfd_create membarrier",
    "threads and signals of its own": (
        "futex sched_yield sched_getaffinity set_robust_list set_tid_address rseq getcpu "
        "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigsuspend sigaltstack "
        "restart_syscall exit exit_group"
    ),
    "time and chance": (
        "nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time setitimer "
        "getitimer timerfd_create timerfd_settime timerfd_gettime getrandom"
    ),
    "who and where it is": (
        "getpid gettid getppid getuid geteuid getgid getegid uname sysinfo getrusage times getcwd"
    ),
    "descriptors that it holds": (
        "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close "
        "close_range dup dup2 dup3 pipe pipe2 poll ppoll select pselect6 epoll_create1 epoll_ctl "
        "epoll_wait epoll_pwait epoll_pwait2 eventfd2 fstat fstatfs fsync fdatasync "
        "sync_file_range ftruncate fallocate fadvise64 copy_file_range getdents64 recvfrom"
    ),
    "files, which Landlock bounds": (
        "open openat openat2 stat lstat newfstatat statx statfs access faccessat faccessat2 "
        "readlink readlinkat mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link "
        "linkat symlink symlinkat"
    ),
}
"""What every container may call, whatever the arguments."""

NEEDED: Final[dict[Need, str]] = {
    Need.SERVE: "accept4 listen recvmsg shutdown getsockname getpeername getsockopt setsockopt",
    Need.CONNECT: (
        "connect recvmsg recvmmsg shutdown getsockname getpeername getsockopt setsockopt"
    ),
    Need.LISTEN: "bind listen",
    Need.WORKERS: "wait4 waitid",
    Need.PROGRAM: (
        "execve arch_prctl getrlimit mincore sched_getparam sched_getscheduler eventfd "
        "epoll_create fchdir chdir umask"
    ),
}
"""What comes to it for a need."""

_POINTER_BYTES: Final = 8
"""A 32-bit process on such a kernel calls by other numbers."""
OWN_PID: Final = 0x5F5F_5049
"""Stands in the program where the container's pid belongs."""
_THREAD: Final = 0x0001_0000
_NEW_NAMESPACES: Final = 0x7E02_0000
_FOREIGN: Final = _NEW_NAMESPACES | 0x0080_A000
"""Also CLONE_UNTRACED, CLONE_PARENT and CLONE_PTRACE."""
_PR_GET_NAME: Final = 16
_PR_SET_VMA: Final = 0x5356_4D41
_SIGKILL: Final = 9
_FCNTL: Final = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)
"""Duplicates, flags, locks and F_GETPIPE_SZ: no owner, whom the kernel would signal, no lease."""
_SEALS: Final = (1033, 1034)
"""F_ADD_SEALS and F_GET_SEALS: of memory that an engine shares with itself."""
_IOCTL: Final = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
_FASTOPEN: Final = 0x2000_0000
"""MSG_FASTOPEN: a send that connects, which neither `connect` nor Landlock would see."""
_INTERNET: Final = (2, 10)
_TCP: Final = Argument(index=2, values=(0, 6))
_TCP_OR_UDP: Final = Argument(index=2, values=(0, 6, 17))
"""Others, such as MPTCP and SCTP, have ways of their own to connect, and Landlock holds none."""
_STREAM: Final = Argument(index=1, values=(1,), mask=0xF)
_STREAM_OR_DATAGRAM: Final = Argument(index=1, values=(1, 2), mask=0xF)
_REFUSED: Final = refused(errno.EPERM)
_MISSING: Final = refused(errno.ENOSYS)


class _Machine(msgspec.Struct, frozen=True, kw_only=True):
    place: int
    audit_number: int


MACHINES: Final = {
    "x86_64": _Machine(place=X86_64, audit_number=0xC000_003E),
    "aarch64": _Machine(place=AARCH64, audit_number=0xC000_00B7),
}


def _bounded(needs: Needs) -> Iterator[tuple[str, tuple[Condition, ...]]]:
    """Yield the calls that some arguments are allowed of; a later line adds to an earlier one."""
    yield "prlimit64", (Argument(index=0, values=(0,)), NullPointer(index=2))
    yield "fcntl", (Argument(index=1, values=_FCNTL),)
    if Need.PROGRAM in needs:
        yield "fcntl", (Argument(index=1, values=_SEALS),)
    yield "ioctl", (Argument(index=1, values=_IOCTL),)
    yield "tgkill", (Argument(index=0, values=(OWN_PID,)),)
    yield "kill", (Argument(index=0, values=(OWN_PID,)),)
    yield "utimensat", (NullPointer(index=1),)  # of what is open: Landlock holds no times
    names = (PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA)
    if Need.WORKERS in needs:
        yield "clone", (Argument(index=0, values=(0,), mask=_FOREIGN),)
        yield "prctl", (Argument(index=0, values=(PR_SET_PDEATHSIG,)), _DEATH_BY_KILLING)
    else:
        yield "clone", (Argument(index=0, values=(_THREAD,), mask=_FOREIGN | _THREAD),)
    yield "prctl", (Argument(index=0, values=names),)
    yield from _sockets(needs)


def _sockets(needs: Needs) -> Iterator[tuple[str, tuple[Condition, ...]]]:
    yield "sendto", (_connecting_nobody(3),)
    if needs & {Need.SERVE, Need.CONNECT}:
        yield "sendmsg", (_connecting_nobody(2),)
    if Need.CONNECT in needs:
        yield "sendmmsg", (_connecting_nobody(3),)
        yield "socket", (Argument(index=0, values=_INTERNET), _STREAM_OR_DATAGRAM, _TCP_OR_UDP)
    elif Need.LISTEN in needs:
        yield "socket", (Argument(index=0, values=_INTERNET), _STREAM, _TCP)
    if needs & {Need.SERVE, Need.PROGRAM}:
        # A pair of datagram sockets would send to any address: to every Unix socket there is.
        yield "socketpair", (Argument(index=0, values=(1,)), _STREAM)


def _connecting_nobody(flags_at: int) -> Argument:
    return Argument(index=flags_at, values=(0,), mask=_FASTOPEN)


_DEATH_BY_KILLING: Final = Argument(index=1, values=(_SIGKILL,))


@cache
def can_restrict_calls() -> bool:
    """Whether this kernel filters calls, and their numbers on this machine are known."""
    return (
        platform.machine() in MACHINES and struct.calcsize("P") == _POINTER_BYTES and has_seccomp()
    )


def program(machine: str, needs: Needs) -> bytes:
    """Return the filter for containers with these needs; `OWN_PID` is still to be put in."""
    wanted = MACHINES[machine]
    cases = {"clone3": _MISSING}  # the C library then takes clone, whose flags can be looked at
    for name in _plain(needs):
        cases[name] = ALLOWED
    for name, conditions in _bounded(needs):
        cases[name] = allowed_if(conditions, cases.get(name, _REFUSED))
    numbered = {
        number: code
        for name, code in cases.items()
        if (number := NUMBERS[name][wanted.place]) is not None
    }
    return assembled(on_architecture(wanted.audit_number, by_number(numbered, _REFUSED)))


def _plain(needs: Needs) -> Iterable[str]:
    for names in (*ALWAYS.values(), *(NEEDED[need] for need in sorted(needs))):
        yield from names.split()


def prepare(sets_of_needs: Iterable[Needs]) -> None:
    """Make the programs that containers will install; call it before the first fork."""
    if can_restrict_calls():
        for needs in sets_of_needs:
            _prepared(needs)


def restrict_calls(needs: Needs) -> bool:
    """Leave this thread, and what it starts from now on, these calls alone.

    Return False where that cannot be: then nothing is restricted. For good: nothing that is
    installed can be taken away again.
    """
    if not can_restrict_calls():
        return False
    renounce_privileges()  # the kernel asks for no-new-privileges
    filter_, places = _prepared(needs)
    own = struct.pack("=I", os.getpid())
    for place in places:
        filter_.put(place, own)
    filter_.install()
    return True


@cache
def _prepared(needs: Needs) -> tuple[CallFilter, tuple[int, ...]]:
    """Return the filter for this machine, and where the pid belongs in it."""
    code = program(platform.machine(), needs)
    stand_in = struct.pack("=I", OWN_PID)
    places = (at for at in range(0, len(code), len(stand_in)) if code.startswith(stand_in, at))
    return CallFilter(code), tuple(places)
