"""Content on disk that survives a crash at any moment.

A file has its name only when its bytes are complete and synced: it is written under `partial/`,
synced, renamed, and the folder is synced. What a killed process left under `partial/` is removed.
Several processes use the store at once without locks: names are digests, so two writers of one
name write the same bytes, and the last rename wins.

    blobs/sha256/<hex>                  manifests and layers
    images/<manifest>.json              an ImageRecord; .mount.json is one for volumes
    names/<hash of the name>.json       a NameRecord
    objects/<engine>/<layer>.cwasm      compiled code, and .json: a CompiledObject
    rootfs/<name>/                      the files of an image
    partial/<pid>-<random>              being written

Compiled code is native code: whoever can write here can run code as the executor. The folders
are therefore the owner's alone.
"""

import ctypes
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from wasm_executor.images.records import CompiledObject, ImageRecord, NameRecord


class ContentStore:
    """Paths, atomic writes and tolerant reads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._partial = root / "partial"

    def prepare(self) -> None:
        """Make the folders, and remove what interrupted writers left. Once, before any job."""
        shutil.rmtree(self._partial, ignore_errors=True)
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)
        for folder in ("blobs", "images", "names", "objects", "rootfs", "partial"):
            (self.root / folder).mkdir(mode=0o700, exist_ok=True)

    def take_partials_of(self, pid: int) -> list[Path]:
        """Take away what a job that was killed could not clean up; another may get its pid.

        What a full disk does not let us rename stays until the next `prepare`.
        """
        taken = []
        for path in self._partial.glob(f"{pid}-*"):
            doomed = self._partial / f"doomed-{secrets.token_hex(8)}"
            with suppress(OSError):
                taken.append(path.rename(doomed))
        return taken

    def remove_taken(self, taken: Iterable[Path]) -> None:
        """Remove it. Blocks, and an image has many files: call it in a thread."""
        for path in taken:
            with suppress(OSError):
                _remove(path)

    def blob_path(self, digest: str) -> Path:
        algorithm, encoded = digest.split(":", 1)
        return self.root / "blobs" / algorithm / encoded

    def turn_path(self, digest: str) -> Path:
        """A file that stands for the right to fetch a blob; see `oneatatime`."""
        return self._partial / f"turn-{_file_name(digest)}"

    def has_blob(self, digest: str, size: int) -> bool:
        return _size_of(self.blob_path(digest)) == size

    def object_path(self, layer_digest: str, engine: str) -> Path:
        return self.root / "objects" / engine / f"{_file_name(layer_digest)}.cwasm"

    def has_object(self, compiled: CompiledObject) -> bool:
        path = self.object_path(compiled.digest, compiled.engine)
        return _size_of(path) == compiled.facts.object_bytes

    def rootfs_path(self, name: str) -> Path:
        return self.root / "rootfs" / name

    def has_rootfs(self, name: str) -> bool:
        return self.rootfs_path(name).is_dir()

    @contextmanager
    def filling(self, target: Path) -> Iterator[Path]:
        """Fill a folder that appears at `target` whole, when the block ends without an error."""
        partial = self._partial / f"{os.getpid()}-{secrets.token_hex(8)}"
        partial.mkdir(mode=0o700)
        try:
            yield partial
            _sync_file_system(partial)
            try:
                partial.rename(target)
            except OSError:
                if not target.is_dir():  # else another has made the same one meanwhile
                    raise
            _sync_folder(target.parent)
        finally:
            _remove(partial)

    @contextmanager
    def writing(self, target: Path) -> Iterator[BinaryIO]:
        """Write a file that appears at `target` whole, when the block ends without an error."""
        partial = self._partial / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            with partial.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _make_folder(target.parent)
            partial.replace(target)
            _sync_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)

    def write_blob(self, digest: str, content: bytes) -> None:
        with self.writing(self.blob_path(digest)) as file:
            file.write(content)

    def remove_blob(self, digest: str) -> None:
        self.blob_path(digest).unlink(missing_ok=True)

    def remove_image(self, image: ImageRecord) -> None:
        self._image_path(image.manifest_digest, mount=image.mount).unlink(missing_ok=True)

    def remove_name(self, name: str) -> None:
        self._name_path(name).unlink(missing_ok=True)

    def remove_rootfs(self, name: str) -> None:
        """Take its name away first: what is half removed must not be found."""
        doomed = self._partial / f"{os.getpid()}-{secrets.token_hex(8)}"
        with suppress(FileNotFoundError):
            self.rootfs_path(name).rename(doomed)
            _remove(doomed)

    def write_image(self, image: ImageRecord) -> None:
        self._write_record(self._image_path(image.manifest_digest, mount=image.mount), image)

    def write_name(self, name: NameRecord) -> None:
        self._write_record(self._name_path(name.name), name)

    def has_name(self, name: str) -> bool:
        return self._name_path(name).exists()

    def write_object(self, compiled: CompiledObject, code: bytes | bytearray) -> None:
        path = self.object_path(compiled.digest, compiled.engine)
        with self.writing(path) as file:
            file.write(code)
        self._write_record(path.with_suffix(".json"), compiled)

    def remove_object(self, compiled: CompiledObject) -> None:
        """The metadata first: without it the object does not count."""
        path = self.object_path(compiled.digest, compiled.engine)
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    def read_image(self, manifest_digest: str, *, mount: bool = False) -> ImageRecord | None:
        return _read(self._image_path(manifest_digest, mount=mount), ImageRecord)

    def is_here(self, image: ImageRecord) -> bool:
        """Say whether all that was pulled of an image is on disk."""
        module = not image.layer_digest or self.has_blob(image.layer_digest, image.layer_bytes)
        return module and (not image.rootfs or self.has_rootfs(image.rootfs))

    def read_images(self) -> Iterator[ImageRecord]:
        return _read_all(self.root / "images", ImageRecord)

    def read_names(self) -> Iterator[NameRecord]:
        return _read_all(self.root / "names", NameRecord)

    def read_objects(self, engine: str) -> Iterator[CompiledObject]:
        return _read_all(self.root / "objects" / engine, CompiledObject)

    def _name_path(self, name: str) -> Path:
        return self.root / "names" / f"{hashlib.sha256(name.encode()).hexdigest()}.json"

    def _image_path(self, manifest_digest: str, *, mount: bool) -> Path:
        kind = ".mount" if mount else ""
        return self.root / "images" / f"{_file_name(manifest_digest)}{kind}.json"

    def _write_record(self, path: Path, record: msgspec.Struct) -> None:
        with self.writing(path) as file:
            file.write(msgspec.json.encode(record))


def _file_name(digest: str) -> str:
    return digest.replace(":", "-")


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync_file_system(folder: Path) -> None:
    """Have all of a folder on disk by one call: one for each of its files would take minutes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_all[Record: msgspec.Struct](folder: Path, kind: type[Record]) -> Iterator[Record]:
    for path in sorted(folder.glob("*.json")):
        record = _read(path, kind)
        if record is not None:
            yield record


def _read[Record: msgspec.Struct](path: Path, kind: type[Record]) -> Record | None:
    """A file of another version, or one that a disk has eaten, counts as absent."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None
