"""`python -m chart.container FILE`: one container of a pod as a process of this machine.

It sees what the pod's spec gives it and nothing else that is written: its own mount and process
namespaces, a root file system that is read-only where the spec says so, the spec's user, no
capability that is not added. What the image would bring (Python, our packages, NATS) is bound from
this machine. Needs root, as whoever starts containers does.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

_LIBC = ctypes.CDLL(None, use_errno=True)
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP = 1, 38, 24
_LAST_CAPABILITY = 63
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib64", "sys")
_ETC = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "resolv.conf", "ssl", "alternatives")


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder of this machine that the container sees at a path."""

    source: str
    path: str
    read_only: bool = False


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """What is run, where, and as whom."""

    command: list[str]
    env: dict[str, str]
    mounts: list[Mount]
    root: str
    hosts: str
    bound: list[str]
    user: int
    group: int
    read_only: bool = True
    capabilities: list[int] = []
    no_new_privileges: bool = True


def main() -> int:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    container = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Container)
    os.unshare(os.CLONE_NEWNS | os.CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        become(container)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _frame: os.kill(child, caught))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) % 256


def become(container: Container) -> None:
    """Turn into the container's first process; does not return."""
    _mount("none", "/", _MS_REC | _MS_PRIVATE)
    root = Path(container.root)
    _lay_out(container, root)
    os.chroot(root)
    os.chdir("/")
    _drop(container)
    os.execvpe(container.command[0], container.command, container.env)  # noqa: S606 - it is argv


def _lay_out(container: Container, root: Path) -> None:
    _mount("root", root, 0, kind="tmpfs")
    root.chmod(0o755)
    etc = [f"/etc/{name}" for name in _ETC]
    system = [f"/{name}" for name in _SYSTEM]
    _bind("/dev", root / "dev", read_only=False)
    (root / "proc").mkdir()
    _mount("proc", root / "proc", 0, kind="proc")
    places = [each for each in (*system, *etc, *container.bound) if Path(each).exists()]
    bound = [Mount(source=each, path=each, read_only=True) for each in places]
    # A mount inside another one comes after it: this checkout may lie in /tmp.
    for mount in sorted((*bound, *container.mounts), key=lambda mount: mount.path):
        _bind(mount.source, root / mount.path[1:], read_only=mount.read_only)
    _bind(container.hosts, root / "etc/hosts", read_only=True)
    if container.read_only:
        _mount("none", root, _MS_REMOUNT | _MS_RDONLY)


def _bind(source: str, target: Path, *, read_only: bool) -> None:
    if Path(source).is_dir():
        target.mkdir(mode=0o755, parents=True, exist_ok=True)
    else:
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        target.touch()
    _mount(source, target, _MS_BIND | _MS_REC)
    if read_only:
        _mount("none", target, _MS_BIND | _MS_REMOUNT | _MS_RDONLY)


def _mount(source: str, target: str | Path, flags: int, *, kind: str | None = None) -> None:
    filesystem = kind.encode() if kind else None
    if _LIBC.mount(source.encode(), os.fsencode(target), filesystem, flags, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def _drop(container: Container) -> None:
    for capability in set(range(_LAST_CAPABILITY + 1)) - set(container.capabilities):
        _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([container.group])
    os.setgid(container.group)
    os.setuid(container.user)
    # With its first process, everything in the process namespace dies. A change of user forgets
    # what was asked here before it.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if container.no_new_privileges:
        _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def bound_for(python: str, folders: Iterable[Path]) -> list[str]:
    """What stands in for the image: an interpreter with its installation, and these folders."""
    installation = Path(python).resolve().parent.parent
    return [str(each) for each in (installation, *folders) if not _is_system(each)]


def _is_system(path: Path) -> bool:
    return path.parts[1] in _SYSTEM


if __name__ == "__main__":
    sys.exit(main())
