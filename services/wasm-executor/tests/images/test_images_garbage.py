"""Room is made by the kubelet's thresholds, and never at the cost of a pod."""

import asyncio
from pathlib import Path
from typing import NamedTuple

import pytest
from layers import Entry, digest, layer
from scripted_registry import WASM

from wasm_executor.images.collecting import Collector, Space
from wasm_executor.images.index import ImageIndex
from wasm_executor.images.records import (
    ArtifactFacts,
    ArtifactKind,
    CompiledObject,
    ImageRecord,
    NameRecord,
    World,
)
from wasm_executor.images.reference import parse_reference
from wasm_executor.images.settings import ImageSettings
from wasm_executor.images.store import ContentStore
from wasm_executor.images.sweeping import Sweeper

ENGINE = "engine"
SIZE = 10


class Shop(NamedTuple):
    """A store of images of ten units each, on a disk of a hundred, and what collects in it."""

    store: ContentStore
    known: ImageIndex
    collector: Collector
    in_use: set[str]
    elsewhere: list[int]
    """How much of the disk is taken by others."""

    def here(self) -> list[str]:
        return sorted(name for each in self.known.images() for name in self._tags(each))

    def _tags(self, image: ImageRecord) -> list[str]:
        names = self.known.names_of(image.manifest_digest)
        return [name.rpartition("/")[2] for name in names if "@" not in name]

    def put(self, name: str, *, rootfs: str = "", mount: bool = False) -> ImageRecord:
        manifest = digest(name.encode())
        self.store.write_blob(manifest, name.encode())
        module = "" if rootfs else digest(WASM + name.encode())
        image = ImageRecord(
            manifest_digest=manifest,
            layer_digest=module,
            layer_bytes=len(WASM + name.encode()) if module else 0,
            rootfs=rootfs,
            total_bytes=SIZE,
            mount=mount,
        )
        if module:
            self.store.write_blob(module, WASM + name.encode())
        elif not self.store.has_rootfs(rootfs):
            with self.store.filling(self.store.rootfs_path(rootfs)) as folder:
                (folder / "f").write_text("content")
        self.store.write_image(image)
        reference = parse_reference(f"example.org/{name}")
        for each in (str(reference), reference.with_digest(manifest)):
            self.store.write_name(NameRecord(name=each, manifest_digest=manifest, resolved_at=0))
        self.known.add_image(reference, image, 0.0)
        return image


@pytest.fixture
def shop(store: ContentStore) -> Shop:
    return open_shop(store)


def open_shop(store: ContentStore, min_age_s: float = 0.0) -> Shop:
    index = ImageIndex(store, ENGINE)
    index.load()
    settings = ImageSettings(root=store.root, gc_min_age_s=min_age_s)
    in_use: set[str] = set()
    elsewhere = [0]

    def space(_folder: Path) -> Space:
        manifests = {each.manifest_digest for each in index.images()}
        return Space(100, max(0, 100 - elsewhere[0] - SIZE * len(manifests)))

    collector = Collector(settings, store, index, lambda: in_use, space=space)
    return Shop(store, index, collector, in_use, elsewhere)


async def test_nothing_goes_below_the_high_threshold_and_then_as_much_as_to_the_low_one(
    shop: Shop,
) -> None:
    for name in ("a:1", "b:1", "c:1", "d:1"):
        shop.put(name)
    shop.elsewhere[0] = 44
    assert await shop.collector.collect() == 0
    shop.elsewhere[0] = 55
    assert await shop.collector.collect() == 2
    assert len(shop.here()) == 2
    reopened = open_shop(shop.store)
    assert reopened.here() == shop.here()


async def test_what_pods_use_stays_whatever_the_disk_and_the_longest_unused_goes_first(
    shop: Shop,
) -> None:
    images = {name: shop.put(name) for name in ("used:1", "by-id:1", "old:1", "older:1")}
    shop.in_use.update(("example.org/old:1", "example.org/older:1"))
    await shop.collector.collect()
    shop.in_use.remove("example.org/older:1")
    await shop.collector.collect()
    shop.in_use.clear()
    by_id = f"example.org/by-id@{images['by-id:1'].manifest_digest}"
    shop.in_use.update(("example.org/used:1", by_id, "file:/x.wasm", "NO NAME"))
    shop.elsewhere[0] = 50
    assert await shop.collector.collect() == 1
    assert shop.here() == ["by-id:1", "old:1", "used:1"]
    shop.elsewhere[0] = 99
    assert await shop.collector.collect() == 1
    assert shop.here() == ["by-id:1", "used:1"]


async def test_a_young_image_stays(store: ContentStore) -> None:
    shop = open_shop(store, min_age_s=3600.0)
    shop.put("young:1")
    shop.elsewhere[0] = 99
    assert await shop.collector.collect() == 0
    assert shop.here() == ["young:1"]


async def test_an_image_that_comes_while_the_disk_is_looked_through_stays(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full, and the collector goes on: the next look takes the image."""
    sweep, looks = Sweeper.sweep, 0

    def pulled_meanwhile(self: Sweeper, older_than_s: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            shop.put("late:1")
        sweep(self, older_than_s)

    monkeypatch.setattr(Sweeper, "sweep", pulled_meanwhile)
    shop.elsewhere[0] = 99
    assert await shop.collector.collect() == 0
    assert shop.here() == ["late:1"]
    assert await shop.collector.collect() == 1


async def test_a_look_that_fails_costs_that_look_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [KeyError("x"), OSError("no disk"), RuntimeError("changed")]
    looked_again = asyncio.Event()

    async def collect(_self: Collector) -> int:
        if failures:
            raise failures.pop()
        looked_again.set()
        return 0

    monkeypatch.setattr(Collector, "collect", collect)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(shop.collector.collect_regularly(0.0), name="look")
        await looked_again.wait()
        looking.cancel()


async def test_files_go_with_the_last_image_that_has_them(shop: Shop) -> None:
    shop.put("one:1", rootfs="shared")
    shop.put("two:1", rootfs="shared")
    shop.in_use.add("example.org/two:1")
    shop.elsewhere[0] = 99
    assert await shop.collector.collect() == 1
    assert shop.store.has_rootfs("shared")
    shop.in_use.clear()
    assert await shop.collector.collect() == 1
    assert not shop.store.has_rootfs("shared")
    left = [path for path in shop.store.root.rglob("*") if path.is_file()]
    assert left == []


async def test_compiled_code_of_files_stays_while_their_image_is_used(
    store: ContentStore,
) -> None:
    shop = open_shop(store)
    shop.put("files:1", rootfs="r")
    used, unused = (
        CompiledObject(digest=digest(each), engine=ENGINE, facts=facts(each))
        for each in (b"used", b"unused")
    )
    for each, code in ((used, b"used"), (unused, b"unused")):
        store.write_object(each, code)
        shop.known.add_object(each)
    collector = Collector(
        ImageSettings(root=store.root),
        store,
        shop.known,
        lambda: {"example.org/files:1"},
        modules_in=lambda folders: {used.digest} if set(folders) == {"r"} else set(),
        space=lambda _folder: Space(100, 1),
    )
    assert await collector.collect() == 0
    assert store.has_object(used)
    assert not store.has_object(unused)
    assert [each.digest for each in shop.known.objects()] == [used.digest]


def facts(code: bytes) -> ArtifactFacts:
    return ArtifactFacts(
        kind=ArtifactKind.MODULE,
        world=World.COMMAND,
        wasm_bytes=0,
        object_bytes=len(code),
        compile_s=0,
    )


async def test_what_belongs_to_no_image_is_swept_once_it_is_old(
    store: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_shop(store)
    kept = shop.put("kept:1")
    packed = layer(Entry("f", b"1"))
    store.write_blob(digest(packed), packed)
    with store.filling(store.rootfs_path("lost")) as folder:
        (folder / "f").write_text("x")
    (store.root / "objects" / "another-engine").mkdir()
    await shop.collector.collect()
    assert store.has_blob(digest(packed), len(packed))
    assert store.has_rootfs("lost")
    assert not (store.root / "objects" / "another-engine").exists()
    real = store.blob_path(digest(packed)).stat().st_ctime
    monkeypatch.setattr("wasm_executor.images.sweeping.time.time", lambda: real + 1000.0)
    await shop.collector.collect()
    assert not store.has_blob(digest(packed), len(packed))
    assert not store.has_rootfs("lost")
    assert store.is_here(kept)
