"""Where `wasmlet up` keeps things: what lasts on disk, what is secret on tmpfs.

Passwords, plans and tokens live below a tmpfs folder of mode 0700 that goes away at the end; of an
`up` that was killed, at the next one's start. A lock in the data folder keeps a second `up` away
from the same data.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from contract.ids import NodeName
from wasmlet.errors import CommandLineError
from wasmlet.up.arguments import UpOptions
from wasmlet.up.owning import TEMPORARY_PREFIX, owned, sweep
from wasmlet.up.variables import home_folder, variable

_TMPFS_MAGIC = ("tmpfs", "ramfs")


class Folders(msgspec.Struct, frozen=True, kw_only=True):
    """The folders of one `up`."""

    data: Path
    run: Path

    def node_data(self, node: NodeName) -> Path:
        """Modules, logs, checkpoints of one executor."""
        return self.data / "nodes" / node

    def node_run(self, node: NodeName) -> Path:
        """Plans of one executor."""
        return self.run / "nodes" / node

    def node_logs(self, node: NodeName) -> Path:
        """Container logs of one executor."""
        return self.node_data(node) / "logs"

    def unused_nodes(self, nodes: Iterable[NodeName]) -> list[str]:
        """Return the nodes that have data here and are not among these."""
        found = self.data / "nodes"
        return (
            sorted({each.name for each in found.iterdir()} - set(nodes)) if found.exists() else []
        )

    @property
    def status_file(self) -> Path:
        """Where the reconciler writes what static pods do."""
        return self.run / "status.json"


@contextmanager
def prepared(options: UpOptions) -> Iterator[Folders]:
    """Make the folders, hold the lock, and remove at the end what is not to last."""
    with ExitStack() as stack:
        try:
            folders = _made(options, stack)
        except OSError as error:
            raise CommandLineError(f"cannot use {error.filename}: {error.strerror}") from error
        yield folders


def _made(options: UpOptions, stack: ExitStack) -> Folders:
    sweep(run_folders(None))
    temporary = _temporary_data(stack) if options.is_static and not options.data_dir else None
    data = options.data_dir or temporary or _lasting_data(options)
    data.mkdir(parents=True, exist_ok=True)
    stack.enter_context(_locked(data))
    run = _tmpfs_root() / _run_name(os.getuid(), _short(data))
    _make_private(run)
    if not (data / "nodes").exists():
        # A killed `up` may have left plans here whose data folder is gone: they are not ours.
        shutil.rmtree(run)
        _make_private(run)
    stack.enter_context(owned(run, temporary))
    stack.callback(shutil.rmtree, run, ignore_errors=True)
    folders = Folders(data=data, run=run)
    for node in options.nodes:
        folders.node_data(node).mkdir(parents=True, exist_ok=True)
        folders.node_run(node).mkdir(mode=0o700, parents=True, exist_ok=True)
    return folders


def run_folders(data: Path | None) -> Iterator[Path]:
    """Yield the run folders that there are: those of a data folder, or all of this user."""
    if data is None:
        pattern = _run_name(os.getuid(), "*")
    elif data.is_dir():
        pattern = _run_name(data.stat().st_uid, _short(data))
    else:
        raise CommandLineError(f"there is no data folder {data}")
    for root in _tmpfs_roots():
        yield from sorted(root.glob(pattern))


def _run_name(user: int, data: str) -> str:
    return f"wasmlet-{user}-{data}"


def _temporary_data(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX)))


def _lasting_data(options: UpOptions) -> Path:
    state = Path(variable("XDG_STATE_HOME") or home_folder() / ".local" / "state")
    return state / "wasmlet" / options.nodes[0]


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    with (data / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandLineError(
                f"another `wasmlet up` uses {data}: give this one its own --data-dir"
            ) from error
        yield


def _tmpfs_roots() -> list[Path]:
    named = (variable("XDG_RUNTIME_DIR"), "/dev/shm")  # noqa: S108 - a private folder is made below it
    return [Path(name) for name in dict.fromkeys(named) if name and Path(name).is_dir()]


def _tmpfs_root() -> Path:
    for root in _tmpfs_roots():
        if os.access(root, os.W_OK) and _is_tmpfs(root):
            return root
    raise CommandLineError(
        "no tmpfs to keep secrets in: neither $XDG_RUNTIME_DIR nor /dev/shm is a writable one"
    )


def _is_tmpfs(folder: Path) -> bool:
    best, kind = "", ""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mounted, filesystem, *_ = line.split()
        path = mounted.encode().decode("unicode_escape")
        if folder.resolve().is_relative_to(path) and len(path) >= len(best):
            best, kind = path, filesystem
    return kind in _TMPFS_MAGIC


def _make_private(folder: Path) -> None:
    """Make the folder ours alone; one that somebody else has put there is refused."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or folder.is_symlink():
        raise CommandLineError(f"{folder} is not a private folder of this user")


def _short(path: Path) -> str:
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
