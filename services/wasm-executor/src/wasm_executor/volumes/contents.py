"""Contents of configMaps, secrets and their like: once per node, however many pods use them.

A blob lies on tmpfs, as one file per digest and mode. Volumes hold hard links to it; so the link
count says who uses it, over restarts too, and one that nobody links to any more is dropped. Guests
only ever see such a file through read-only folders.
"""

import asyncio
import hashlib
import os
import re
import threading
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Hashable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from contract.messages.volume import VolumeFile
from wasm_executor.volumes.errors import ContentError

type FetchBlob = Callable[[str], Awaitable[bytes]]

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PARTIAL: Final = ".partial"
_PRIVATE: Final = 0o600
_ONLY_HERE: Final = 1
_FETCHES: Final = 8
_DIGEST: Final = re.compile("[0-9a-f]{64}")


class Contents:
    """The node's blobs. What is written here is whole and has been checked against its digest."""

    def __init__(self, folder: str, fetch: FetchBlob) -> None:
        self._folder = folder
        self._fetch = fetch
        self._fetching: dict[str, asyncio.Lock] = {}
        self._held: Counter[str] = Counter()
        self._brought: dict[Hashable, dict[str, bytes]] = {}
        self._guard = threading.Lock()
        """Between who begins to hold a blob, and the thread that drops what nobody holds."""
        self._modes: dict[str, set[str]] = {}
        """In which modes a digest is here: the folder is not searched for each that is missing."""
        for name in os.listdir(folder):  # noqa: PTH208 - names are what is wanted
            if name.endswith(_PARTIAL):
                os.unlink(f"{folder}/{name}")  # noqa: PTH108 - as above
            else:
                self._note(name)

    def bring(self, user: Hashable, contents: Iterable[bytes]) -> None:
        """Take what came with a plan, in memory alone, until its volumes are made or gone."""
        brought = {hashlib.sha256(each).hexdigest(): each for each in contents}
        if brought:
            self._brought[user] = brought

    def drop_brought(self, user: Hashable) -> None:
        self._brought.pop(user, None)

    @asynccontextmanager
    async def held(
        self, wanted: Mapping[str, Sequence[VolumeFile]]
    ) -> AsyncIterator[dict[str, ContentError]]:
        """Have what these volumes hold, and keep it until it has been linked.

        Give the volumes that lack something, with the first fault of each. What else fetching
        raises is raised.
        """
        files = {(each.blob, each.mode): each for of in wanted.values() for each in of}
        digests = {digest for digest, _ in files if _DIGEST.fullmatch(digest)}
        faults = {digest: _no_digest(digest) for digest, _ in files if digest not in digests}
        with self._guard:
            self._held.update(digests)
        try:
            faults |= await self._require_all([f for f in files.values() if f.blob in digests])
            yield {
                name: faults[lacking.blob]
                for name, of in wanted.items()
                if (lacking := next((each for each in of if each.blob in faults), None))
            }
        finally:
            self._held.subtract(digests)
            for digest in digests:
                if self._held[digest] == 0:
                    del self._held[digest]

    async def _require_all(self, files: Sequence[VolumeFile]) -> dict[str, ContentError]:
        """A few at a time: each that is not here is a way over the bus and back."""
        missing = [each for each in files if not self._is_here(each)]
        left, faults = iter(missing), dict[str, ContentError]()

        async def require_some() -> None:
            for file in left:
                try:
                    await self._require(file)
                except ContentError as error:
                    faults[file.blob] = error

        async with asyncio.TaskGroup() as tasks:
            for number in range(min(len(missing), _FETCHES)):
                tasks.create_task(require_some(), name=f"contents-{number}")
        return faults

    async def _require(self, file: VolumeFile) -> None:
        """Fetch a blob unless it is here; whoever wants it too waits for the first."""
        if self._is_here(file):
            return
        lock = self._fetching.setdefault(file.blob, asyncio.Lock())
        try:
            async with lock:
                if self._like(file) is None:
                    await self._take(file)
        finally:
            if not lock.locked():
                self._fetching.pop(file.blob, None)

    async def _take(self, file: VolumeFile) -> None:
        content = next((of[file.blob] for of in self._brought.values() if file.blob in of), None)
        if content is None:
            content = await self._fetch(file.blob)
        if hashlib.sha256(content).hexdigest() != file.blob:
            raise ContentError(f"the content of {file.path} is not what its digest says")
        self._write(file, content)

    def link(self, file: VolumeFile, target: str) -> None:
        """Put a file that is held into a volume. Blocks."""
        try:
            os.link(self._path(file), target)
        except FileNotFoundError:
            known = self._like(file)
            if known is None:
                raise ContentError(f"the content of {file.path} is gone") from None
            self._write(file, Path(known).read_bytes())
            os.link(self._path(file), target)

    def drop_unused(self) -> None:
        """Remove what no volume links to. Blocks for a stat per file; many may do so at once."""
        with os.scandir(self._folder) as blobs:
            for blob in blobs:
                with suppress(FileNotFoundError):  # another was quicker
                    self._drop(blob)

    def _drop(self, blob: os.DirEntry[str]) -> None:
        digest, _, mode = blob.name.partition(".")
        with self._guard:
            alone = blob.stat(follow_symlinks=False).st_nlink == _ONLY_HERE
            if alone and digest not in self._held:
                os.unlink(blob.path)  # noqa: PTH108 - as above
                modes = self._modes.get(digest, set())
                modes.discard(mode)
                if not modes:
                    self._modes.pop(digest, None)

    def _note(self, name: str) -> None:
        digest, _, mode = name.partition(".")
        self._modes.setdefault(digest, set()).add(mode)

    def _path(self, file: VolumeFile) -> str:
        return f"{self._folder}/{_name(file)}"

    def _is_here(self, file: VolumeFile) -> bool:
        return os.path.exists(self._path(file))  # noqa: PTH110 - often, on the way of every start

    def _like(self, file: VolumeFile) -> str | None:
        """Return the blob in this mode, or in another that lets it be read."""
        if self._is_here(file):
            return self._path(file)
        with self._guard:
            others = [
                f"{self._folder}/{file.blob}.{mode}" for mode in self._modes.get(file.blob, ())
            ]
        return next((each for each in others if os.access(each, os.R_OK)), None)

    def _write(self, file: VolumeFile, content: bytes) -> None:
        """Whole or not at all; of two at a time the last one stays."""
        partial = f"{self._path(file)}.{os.urandom(4).hex()}{_PARTIAL}"
        descriptor = os.open(partial, _CREATE, _PRIVATE)
        try:
            with open(descriptor, "wb") as target:  # noqa: PTH123 - it is a descriptor
                target.write(content)
                target.flush()
                os.fchmod(descriptor, file.mode)
            with self._guard:
                os.replace(partial, self._path(file))  # noqa: PTH105 - as above
                self._note(_name(file))
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(partial)  # noqa: PTH108 - as above
            raise


def _no_digest(digest: str) -> ContentError:
    return ContentError(f"{digest!r} is no digest")


def _name(file: VolumeFile) -> str:
    return f"{file.blob}.{file.mode:o}"
