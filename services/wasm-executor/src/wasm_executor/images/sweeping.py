"""Removing images, and what lies in the store without belonging to any.

What images share goes with the last of them. What belongs to none was left by pulls: packed layers,
configs, manifests of indexes. It is kept for a while, because a pull that is under way may be about
to use it; the compiled code of an engine that is not this one's is of no use to anybody.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from wasm_executor.images.index import ImageIndex
from wasm_executor.images.records import ImageRecord
from wasm_executor.images.store import ContentStore


class Sweeper:
    """Of one store. Its calls block for as long as the disk takes."""

    def __init__(self, store: ContentStore, index: ImageIndex) -> None:
        self._store = store
        self._index = index

    def remove(self, image: ImageRecord) -> None:
        """Remove an image and what no other one has. The names first: nothing then leads to it."""
        for name in self._index.forget_image(image):
            self._store.remove_name(name)
        self._store.remove_image(image)
        others = self._index.images()
        if image.layer_digest and not any(
            each.layer_digest == image.layer_digest for each in others
        ):
            self._store.remove_blob(image.layer_digest)
            self._remove_object(image.layer_digest)
        if image.rootfs and not any(each.rootfs == image.rootfs for each in others):
            self._store.remove_rootfs(image.rootfs)
        if not any(each.manifest_digest == image.manifest_digest for each in others):
            self._store.remove_blob(image.manifest_digest)

    def remove_loose_objects(self, kept: set[str]) -> None:
        """Remove compiled code of files in images and of local ones, which is made anew if need be.

        `kept` names the content of which it stays.
        """
        layers = {each.layer_digest for each in self._index.images()}
        for compiled in self._index.objects():
            if compiled.digest not in layers | kept:
                self._remove_object(compiled.digest)

    def sweep(self, older_than_s: float) -> None:
        """Remove what belongs to no image and has not been touched for so long."""
        images = self._index.images()
        blobs = {each.manifest_digest for each in images} | {each.layer_digest for each in images}
        folders = {each.rootfs for each in images}
        before = time.time() - older_than_s
        for path in _children(self._store.root / "blobs"):
            for blob in _children(path):
                if f"{path.name}:{blob.name}" not in blobs and _changed_at(blob) < before:
                    blob.unlink(missing_ok=True)
        for path in _children(self._store.root / "rootfs"):
            if path.name not in folders and _changed_at(path) < before:
                self._store.remove_rootfs(path.name)
        for path in _children(self._store.root / "objects"):
            if path.name != self._index.engine:
                shutil.rmtree(path, ignore_errors=True)

    def _remove_object(self, digest: str) -> None:
        compiled = self._index.forget_object(digest)
        if compiled is not None:
            self._store.remove_object(compiled)


def _children(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.iterdir())) if folder.is_dir() else iter(())


def _changed_at(path: Path) -> float:
    """By when it got its name: an unpacked folder has the times of its image."""
    try:
        return path.stat().st_ctime
    except OSError:
        return time.time()
