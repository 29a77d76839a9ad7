"""What a native program tries in a guest's place, each try by the name that the docs have for it.

A try that ends without an error, or with one that only the thing itself can give, has reached it.
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import socket
import struct
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

NOT_REACHED: Final = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EXDEV, errno.ENOENT, errno.EROFS}
)
"""Refused, or not there at all: in the `node` profile."""
_libc: Final = ctypes.CDLL(None, use_errno=True)
type Try = Callable[[], object]


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """What there is outside, of the same user and near enough."""

    outside: str
    """A folder with `file`, `link` and, where a listener is, `socket`."""
    writable: str
    read_only: str
    artifact: str
    port: int
    keeper: int
    zygote: int
    container: int
    listeners: tuple[int, ...] = ()
    """Descriptors of sockets that were handed over."""


KERNEL: Final = {
    # name: the numbers of x86_64 and aarch64
    "add_key": (248, 217),
    "bpf": (321, 280),
    "capset": (126, 91),
    "chroot": (161, 51),
    "delete_module": (176, 106),
    "execveat": (322, 281),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsopen": (430, 430),
    "init_module": (175, 105),
    "inotify_init1": (294, 26),
    "io_setup": (206, 0),
    "io_uring_setup": (425, 425),
    "kcmp": (312, 272),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "landlock_create_ruleset": (444, 444),
    "memfd_secret": (447, 447),
    "mlock": (149, 228),
    "mount": (165, 40),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "splice": (275, 76),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vmsplice": (278, 75),
}
_PLACE: Final = ("x86_64", "aarch64").index(platform.machine())


def call(name: str, *arguments: int, numbers: tuple[int, int] | None = None) -> None:
    """Make a call by its number, with zeros behind the arguments."""
    number = (numbers or KERNEL[name])[_PLACE]
    given = [ctypes.c_long(each) for each in (*arguments, *[0] * (6 - len(arguments)))]
    if _libc.syscall(ctypes.c_long(number), *given) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def files(to: Targets) -> dict[str, Try]:
    file, folder = f"{to.outside}/file", Path(to.outside)
    mine = f"{to.writable}/mine"
    return {
        "write in a folder that is mounted": lambda: Path(mine).write_text("x"),
        "write in a folder that is mounted read-only": lambda: Path(to.read_only, "new").write_text(
            "x"
        ),
        "read its own compiled module": lambda: Path(to.artifact).read_bytes(),
        "write its own compiled module": lambda: os.close(os.open(to.artifact, os.O_WRONLY)),
        "read a file outside": lambda: Path(file).read_text(),
        "write a file outside": lambda: os.close(os.open(file, os.O_WRONLY)),
        "list a folder outside": lambda: list(folder.iterdir()),
        "make, link, rename or remove a file outside": lambda: first_that_works(
            lambda: Path(to.outside, "new").write_text("x"),
            lambda: os.link(file, f"{to.writable}/linked"),
            lambda: os.link(mine, f"{to.outside}/linked"),
            lambda: Path(file).rename(f"{to.outside}/renamed"),
            lambda: os.unlink(f"{to.outside}/link"),  # noqa: PTH108 - a try each
        ),
        "change modes, owners or attributes, also of its own files": lambda: first_that_works(
            lambda: Path(mine).chmod(0o777),
            lambda: Path(file).chmod(0o777),
            lambda: os.chown(file, os.getuid(), os.getgid()),
            lambda: os.setxattr(mine, "user.x", b"x"),
        ),
        "learn that a path outside exists: its size, owner, times, and where a symlink leads": (
            lambda: (Path(file).stat(), Path(to.outside, "link").readlink())
        ),
        "set the times of a file outside that belongs to its user": lambda: os.utime(file, (0, 0)),
        "read /etc, /proc or the executor's program": lambda: first_that_works(
            *(Path(each).read_bytes for each in ("/etc/passwd", "/proc/self/environ", __file__))
        ),
        "make a device, a pipe or a socket in a folder of its own": lambda: first_that_works(
            lambda: os.mkfifo(f"{to.writable}/pipe"),
            lambda: os.mknod(f"{to.writable}/device", 0o600 | 0o020000, os.makedev(1, 3)),
        ),
    }


def processes(to: Targets) -> dict[str, Try]:
    others = (to.keeper, to.zygote, to.container, os.getppid())
    return {
        "start threads of its own": thread,
        "fork": fork,
        "start a program": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 - the try
        "see that a process with some number exists": lambda: Path(f"/proc/{to.keeper}").stat(),
        "list processes": lambda: os.listdir("/proc"),  # noqa: PTH208 - as short as it gets
        "signal the keeper or another container": lambda: first_that_works(
            *(partial(os.kill, pid, 0) for pid in others),
            *(partial(os.pidfd_open, pid) for pid in others),
        ),
        "trace another process, or read its memory or descriptors": lambda: first_that_works(
            *(partial(call, "", 16, pid, numbers=(101, 117)) for pid in others),
            *(partial(read_memory_of, pid) for pid in others),
            *(partial(os.listdir, f"/proc/{pid}/fd") for pid in others),
        ),
        "change another's limits, priority or processors": lambda: first_that_works(
            lambda: resource.prlimit(to.container, resource.RLIMIT_NOFILE),
            lambda: os.sched_setaffinity(to.container, {0}),
            lambda: os.setpriority(os.PRIO_PROCESS, to.container, 19),
        ),
        "outlive the keeper, or have its memory dumped": lambda: first_that_works(
            lambda: call("", 1, 0, numbers=(157, 167)),
            lambda: call("", 4, 1, numbers=(157, 167)),
            allow_core_dumps,
        ),
        "become another user": lambda: first_that_works(
            lambda: os.setuid(os.getuid()), lambda: os.setgroups([])
        ),
    }


def connect(to: Targets) -> None:
    there = ("127.0.0.1", to.port)

    def connected() -> None:
        with socket.socket() as client:
            client.connect(there)

    def sent_at_once(protocol: int) -> None:
        """Connect without `connect`: with what is sent."""
        with socket.socket(proto=protocol) as client:
            client.sendto(b"x", socket.MSG_FASTOPEN, there)

    def sent_from(listener: int) -> None:
        """A listening socket that is shut down is a fresh one."""
        with socket.socket(fileno=os.dup(listener)) as client:
            client.shutdown(socket.SHUT_RDWR)
            client.sendto(b"x", socket.MSG_FASTOPEN, there)

    first_that_works(
        connected,
        *(partial(sent_at_once, each) for each in (0, socket.IPPROTO_MPTCP)),
        *(partial(sent_from, each) for each in to.listeners),
    )


def network(to: Targets) -> dict[str, Try]:
    def bound() -> None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()

    return {
        "connect to a TCP port of this machine, the bus and the admin ports among them, "
        "also by a send that connects": lambda: connect(to),
        "send by UDP": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(
            b"x", ("127.0.0.1", to.port)
        ),
        "listen on a TCP port that was not handed over": bound,
        "connect to a Unix socket, or send to one": lambda: first_that_works(
            lambda: socket.socket(socket.AF_UNIX).connect(f"{to.outside}/socket"),
            lambda: socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(
                b"x", f"{to.outside}/datagrams"
            ),
        ),
        "make a raw, packet, netlink, vsock or SCTP socket": lambda: first_that_works(
            lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
            lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
            lambda: socket.socket(40, socket.SOCK_STREAM),
            lambda: socket.socket(proto=socket.IPPROTO_SCTP),  # connects by an option
        ),
    }


def kernel(_: Targets) -> dict[str, Try]:
    return {f"`{name}`": partial(call, name) for name in KERNEL}


def allow_core_dumps() -> None:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    except ValueError as error:  # so Python says EPERM of limits
        raise PermissionError(errno.EPERM, str(error)) from error


def thread() -> None:
    started = threading.Thread(target=lambda: None)
    try:
        started.start()
    except RuntimeError as error:
        raise PermissionError(errno.EPERM, str(error)) from error
    started.join()


def fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def read_memory_of(pid: int) -> None:
    there = ctypes.create_string_buffer(8)
    span = struct.pack("@PN", ctypes.addressof(there), 8)
    held = ctypes.create_string_buffer(span, len(span))
    at = ctypes.addressof(held)
    call("", pid, at, 1, at, 1, numbers=(310, 270))


def first_that_works(*tries: Try) -> None:
    """Raise only where none of them reaches anything."""
    refusal: OSError | None = None
    for each in tries:
        try:
            each()
        except OSError as error:
            if error.errno not in NOT_REACHED:
                return
            refusal = error
        else:
            return
    assert refusal is not None
    raise refusal


def reached(what: Try) -> bool:
    try:
        first_that_works(what)
    except OSError:
        return False
    return True


def reach(to: Targets) -> dict[str, bool]:
    """Try everything; what needs no file of Python's comes as it is, the rest was imported."""
    signal.signal(signal.SIGSYS, signal.SIG_DFL)
    tries = files(to) | processes(to) | network(to) | kernel(to)
    return {name: reached(each) for name, each in tries.items()}
