"""What a container says when it ends: its termination message (`terminationMessagePath`).

Each run has a folder of its own with an empty file in it, and the guest sees that folder under the
name that the path's parent has in its world. So the guest may do in there what it likes: put a
symlink, a folder or a FIFO where the file was, or write without end. Reading follows nothing, waits
for nothing and takes the file's last 4096 bytes, as the kubelet does.

A path is taken as from `/` and without its `.` and `..`. One right below the root (`/log`) makes
this folder the guest's `/`. One that names no file (`/..`) has none: such a container can say
nothing, except by its log.

Where a volume is mounted at the file's folder, or above it so that the guest may write, the file is
in that volume, made or emptied at the start. In one that is read-only there is none.
"""

import os
import posixpath
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

import msgspec
import structlog

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, Drain, MessagePolicy, PodPlan
from wasm_executor.container.plan import Preopen
from wasm_executor.domain.inputs import RunEnded
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor.logs.logfiles import place_of_tail, read_on
from wasm_executor.supervisor.pods.runs import NamedPod, log_path
from wasm_executor.volumes.removing import Remover
from wasm_executor.volumes.volumes import Volumes

log = structlog.get_logger()

MAX_BYTES: Final = 4096
LOG_LINES: Final = 80
LOG_BYTES: Final = 2048
FOLDER: Final = "last-words"
DRAIN_FILE: Final = "drain"
_CHUNK_BYTES: Final = 256 * 1024
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
)
_ANYBODYS: Final = 0o666
_FOLDER_MODE: Final = 0o755
_LEAD_MASK: Final = 0b1100_0000
_GOES_ON: Final = 0b1000_0000
"""How a byte of UTF-8 begins that goes on with a character."""


class MessagePlace(NamedTuple):
    """Where a guest finds its file."""

    folder: str
    name: str


def message_place(message_path: str) -> MessagePlace | None:
    """Return the folder that the guest shall see, and the file's name in it."""
    folder, name = posixpath.split(posixpath.normpath("/" + message_path.lstrip("/")))
    return MessagePlace(folder, name) if name else None


class LastWords:
    """The folder `last-words` in the data directory: `{pod uid}.{container}.{run}/{file}`.

    One folder less to make than with a folder per pod, on the way of every start.
    """

    def __init__(self, settings: ExecutorSettings, volumes: Volumes) -> None:
        self._volumes = volumes
        self._log_root = settings.log_root
        self._root = str(settings.data_dir / FOLDER)
        self._remover = Remover(settings.data_dir / FOLDER / ".removed")

    def prepare(self, uid: PodUid, container: ContainerPlan, run: int) -> tuple[Preopen, ...]:
        """Make a run's folder and file; return what its guest shall see of them.

        Where that fails the container starts without, as a kubelet's does.
        """
        place = message_place(container.message_path)
        if place is None:
            return ()
        folder = self._folder(uid, container.name, run)
        try:
            with suppress(FileExistsError):  # a start that is tried again
                os.mkdir(folder, 0o700)  # noqa: PTH102 - no Path is made on the way of every start
            _have_empty(f"{folder}/{place.name}")
        except (OSError, ValueError) as error:
            log.warning("last_words.not_prepared", container=container.name, reason=str(error))
        return self.preopens(uid, container, run)

    def prepare_in_volume(
        self, uid: PodUid, container: ContainerPlan, run: int, drain: Drain
    ) -> None:
        """Make the file where it lies in a volume, once the run's mounts are made.

        What an earlier run has left there, of its message or its drain, is gone. Blocks.
        """
        place = message_place(container.message_path)
        if place is None or not self._volumes.hides(uid, container, run, place.folder):
            return
        mounted = self._volumes.writable_folder
        try:
            with mounted(uid, container, run, place.folder, _FOLDER_MODE) as folder:
                if folder is None:
                    return
                _have_empty(f"{folder}/{place.name}")
                if drain is Drain.FILE:
                    with suppress(FileNotFoundError):
                        os.unlink(f"{folder}/{DRAIN_FILE}")  # noqa: PTH108 - as above
        except (OSError, ValueError) as error:
            log.warning("last_words.not_prepared", container=container.name, reason=str(error))

    def preopens(self, uid: PodUid, container: ContainerPlan, run: int) -> tuple[Preopen, ...]:
        """Return what every process of a run sees: its own, and its execs'."""
        place = message_place(container.message_path)
        folder = self._folder(uid, container.name, run)
        if place is None or not os.path.isdir(folder):  # noqa: PTH112 - as above
            return ()
        return (Preopen(host_path=folder, guest_path=place.folder),)

    def place_drain_file(self, uid: PodUid, container: ContainerPlan, run: int) -> bool:
        """Let the file appear beside the message; False where the guest could not see it."""
        place = message_place(container.message_path)
        if place is None:
            return False
        try:
            with self._seen(uid, container, run, place) as folder:
                if folder is not None:
                    _have_empty(f"{folder}/{DRAIN_FILE}")
                return folder is not None
        except (OSError, ValueError) as error:
            log.warning("drain_file.not_placed", container=container.name, reason=str(error))
            return False

    def read(self, pod: NamedPod, container: ContainerPlan, run: int, exit_code: int) -> str:
        """Return what a run that has ended said last. A fallback reads some log: a millisecond."""
        place = message_place(container.message_path)
        said = b""
        if place is not None:
            with self._seen(pod.uid, container, run, place) as folder:
                said = b"" if folder is None else _end_of(f"{folder}/{place.name}")
        falls_back = container.message_policy is MessagePolicy.FALLBACK_TO_LOGS
        if said or exit_code == 0 or not falls_back:
            return _text(said, MAX_BYTES)
        return _text(self._end_of_log(pod, container.name, run), LOG_BYTES)

    def take_run(self, uid: PodUid, container: ContainerName, run: int) -> None:
        """Take away what a run left, once it is read; the next run may have its number."""
        self._remover.take(self._folder(uid, container, run))

    def empty(self) -> None:
        """Remove what was taken away. Blocks: a guest may have left a lot."""
        self._remover.empty()

    def drop(self, uid: PodUid) -> None:
        """Remove what a pod's runs left. Blocks, as above."""
        with suppress(OSError), os.scandir(self._root) as folders:
            for each in folders:
                if each.name.startswith(f"{uid}."):
                    self._remover.remove(each.path)

    def drop_others(self, known: Collection[PodUid]) -> None:
        """Remove what pods left that nobody knows any more; for a supervisor that starts."""
        with suppress(OSError), os.scandir(self._root) as folders:
            for each in folders:
                uid, _, run = each.name.partition(".")
                if uid and run and uid not in known:
                    self._remover.remove(each.path)

    @contextmanager
    def _seen(
        self, uid: PodUid, container: ContainerPlan, run: int, place: MessagePlace
    ) -> Iterator[str | None]:
        """Give the folder that the guest finds at its message's path, if it may write there."""
        volumes = self._volumes
        if container.mounts and volumes.hides(uid, container, run, place.folder):
            with volumes.writable_folder(uid, container, run, place.folder) as folder:
                yield folder
        else:
            yield self._folder(uid, container.name, run)

    def _folder(self, uid: PodUid, container: ContainerName, run: int) -> str:
        return f"{self._root}/{uid}.{container}.{run}"

    def _end_of_log(self, pod: NamedPod, container: ContainerName, run: int) -> bytes:
        path = log_path(self._log_root, pod, container, run)
        said = b""
        with suppress(OSError):
            part = read_on(path, place_of_tail(path, LOG_LINES), _CHUNK_BYTES)
            while part.data:
                said = (said + _plain(part.data))[-LOG_BYTES:]
                part = read_on(path, part.place, _CHUNK_BYTES)
        return said


def with_last_words(words: LastWords, pod: PodPlan, end: RunEnded) -> RunEnded:
    """Return the end of a run with what it said last, behind what its runtime says of it."""
    container = next((each for each in pod.containers if each.name == end.container), None)
    if container is None:
        return end
    said = words.read(pod, container, end.run, end.exit_code)
    message = ": ".join(each for each in (end.message, said) if each)
    return msgspec.structs.replace(end, message=message)


def _have_empty(path: str) -> None:
    """Have an empty file there that anybody may write; where it is not one, raise OSError."""
    descriptor = os.open(path, _CREATE, _ANYBODYS)
    try:
        with suppress(PermissionError):  # another's, who has let us write
            os.fchmod(descriptor, _ANYBODYS)
    finally:
        os.close(descriptor)


def _end_of(path: str) -> bytes:
    """Return a regular file's last bytes; nothing of whatever else is there."""
    try:
        descriptor = os.open(path, _READ)
    except (OSError, ValueError):
        return b""
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            return b""
        return os.pread(descriptor, MAX_BYTES, max(0, state.st_size - MAX_BYTES))
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _plain(lines: bytes) -> bytes:
    """Return what the guest wrote; a part of a line (P) has no line end of its own."""
    said = []
    for line in lines.split(b"\n")[:-1]:
        _, _, rest = line.partition(b" ")
        _, _, rest = rest.partition(b" ")
        tag, _, content = rest.partition(b" ")
        said.append(content if tag == b"P" else content + b"\n")
    return b"".join(said)


def _text(said: bytes, most_bytes: int) -> str:
    """Return it as text of so many bytes at most; what is cut is cut at its beginning."""
    if len(said) == most_bytes:
        said = _without_half_a_character(said)
    text = said.decode(errors="replace")
    return text.encode()[-most_bytes:].decode(errors="ignore")


def _without_half_a_character(said: bytes) -> bytes:
    half = 0
    while half < min(3, len(said)) and said[half] & _LEAD_MASK == _GOES_ON:
        half += 1
    return said[half:]
