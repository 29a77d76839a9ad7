"""The collector of garbage: room for images by the kubelet's thresholds.

When the disk is fuller than the high threshold, images that no pod uses go, those first that have
not been used for longest, until it is at the low one. An image that has just been found here stays
for a while: a container may be about to start from it. As a kubelet's, it remembers uses in memory
alone, so that after a restart each image is new.
"""

import asyncio
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from wasm_executor.images.errors import InvalidImageNameError
from wasm_executor.images.index import ImageIndex
from wasm_executor.images.localfile import PREFIX
from wasm_executor.images.records import ImageRecord
from wasm_executor.images.reference import parse_reference
from wasm_executor.images.settings import ImageSettings
from wasm_executor.images.store import ContentStore
from wasm_executor.images.sweeping import Sweeper

log = structlog.get_logger(__name__)

_LEFT_BY_PULLS_S: Final = 300.0
"""Beyond the longest pull: then what it left is nobody's."""


class Used(NamedTuple):
    """When an image was first seen here, and last seen used."""

    first_at: float
    last_at: float = 0.0


class Space(NamedTuple):
    """Of the disk that holds the images."""

    total: int
    available: int

    @property
    def used_percent(self) -> int:
        return 100 - self.available * 100 // self.total if self.total else 0


type Key = tuple[str, bool]


def space_of(folder: Path) -> Space:
    usage = shutil.disk_usage(folder)
    return Space(usage.total, usage.free)


def _none(_folders: Collection[str]) -> set[str]:
    """For stores without such images."""
    return set()


class Collector:
    """`in_use` gives the names and IDs of images that pods have, or may start from."""

    def __init__(
        self,
        settings: ImageSettings,
        store: ContentStore,
        index: ImageIndex,
        in_use: Callable[[], Collection[str]],
        *,
        modules_in: Callable[[Collection[str]], set[str]] = _none,
        space: Callable[[Path], Space] = space_of,
    ) -> None:
        self._settings = settings
        self._store = store
        self._index = index
        self._in_use = in_use
        self._modules_in = modules_in
        self._space = space
        self._sweeper = Sweeper(store, index)
        self._used: dict[Key, Used] = {}

    async def collect_regularly(self, interval_s: float) -> None:
        while True:
            try:
                await self.collect()
            except OSError as error:
                log.warning("images.not_collected", reason=str(error))
            except Exception:  # a failure of this program costs one look, never the pods
                log.exception("images.collecting_failed")
            await asyncio.sleep(interval_s)

    async def collect(self) -> int:
        """Look once; return how many images went."""
        limits = self._settings.pull_limits
        now = time.monotonic()
        used = self._observe(now)
        await asyncio.to_thread(self._sweeper.sweep, limits.total_timeout_s + _LEFT_BY_PULLS_S)
        space = self._space(self._store.root)
        if space.used_percent < self._settings.gc_high_percent:
            return 0
        removed = 0
        for image in self._in_order(used, now):
            if not self._is_short():
                break
            # Asked again: a pod may have come while another image was removed.
            if _key(image) not in self._keys_in_use():
                log.info("image.removed", manifest=image.manifest_digest, bytes=image.size_bytes)
                await asyncio.to_thread(self._sweeper.remove, image)
                removed += 1
        if self._is_short():
            await asyncio.to_thread(self._sweeper.remove_loose_objects, self._modules_in_use())
        if self._is_short():
            percent = self._space(self._store.root).used_percent
            log.warning("images.disk_stays_full", used_percent=percent, removed=removed)
        return removed

    def _is_short(self) -> bool:
        space = self._space(self._store.root)
        wanted = space.total * (100 - self._settings.gc_low_percent) // 100
        return space.available < wanted

    def _observe(self, now: float) -> set[Key]:
        present = {_key(each) for each in self._index.images()}
        used = self._keys_in_use()
        self._used = {key: self._used.get(key, Used(now)) for key in present}
        for key in used & present:
            self._used[key] = self._used[key]._replace(last_at=now)
        return used

    def _keys_in_use(self) -> set[Key]:
        keys: set[Key] = set()
        for name in self._in_use():
            for mount in (False, True):
                image = self._find(name, mount=mount)
                if image is not None:
                    keys.add(_key(image))
        return keys

    def _modules_in_use(self) -> set[str]:
        """Of images whose files hold them: containers start from their compiled code again."""
        used = self._keys_in_use()
        folders = {each.rootfs for each in self._index.images() if _key(each) in used}
        return self._modules_in(folders)

    def _find(self, name: str, *, mount: bool) -> ImageRecord | None:
        if name.startswith(PREFIX):
            return None
        try:
            return self._index.find(parse_reference(name), mount=mount)
        except InvalidImageNameError:
            return None

    def _in_order(self, used: set[Key], now: float) -> list[ImageRecord]:
        """Return what may go: the longest unused first, then the longest here, as a kubelet.

        An image that has come since the look was not seen by it, and is too young.
        """
        old_before = now - self._settings.gc_min_age_s
        free = {
            key: seen
            for key, seen in self._used.items()
            if key not in used and seen.first_at <= old_before
        }
        images = [each for each in self._index.images() if _key(each) in free]
        return sorted(
            images, key=lambda each: (free[_key(each)].last_at, free[_key(each)].first_at)
        )


def _key(image: ImageRecord) -> Key:
    return image.manifest_digest, image.mount
