"""What a pod has mounted stays while it runs, whatever the names of images mean by then."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from layers import Entry, image, layer
from podclock import C, Clock, Driver, alive, container_of, next_driver, pod_of, record
from registry_shelf import Shelf
from wasmtime import wat2wasm

from contract.messages.pull import PullPolicy
from contract.messages.volume import ImageVolume, Mount, VolumePlan
from controlplane.registry import Registry
from wasm_executor.domain.effects import PrepareImage
from wasm_executor.domain.inputs import Input, VolumesPrepared
from wasm_executor.domain.pod import Pod
from wasm_executor.images.puller import ImageService
from wasm_executor.supervisor.imagegarbage import images_in_use
from wasm_executor.supervisor.pods.hands import Hands
from wasm_executor.volumes.imagefolders import ImageFolders

type OpenImages = Callable[..., AbstractAsyncContextManager[ImageService]]

TOOL = layer(Entry("tool.wasm", bytes(wat2wasm('(module (func (export "_start")))'))))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        yield running


def names_in(folder: str) -> list[str]:
    return [each.name for each in Path(folder).rglob("*")]


async def test_what_a_pod_has_mounted_is_used_though_its_tag_moved_and_a_supervisor_took_it_over(
    registry: Registry, open_images: OpenImages
) -> None:
    shelf = Shelf(registry.host, "mounted")
    no_room = {"gc_high_percent": 0, "gc_low_percent": 0, "gc_min_age_s": 0.0}
    tool = shelf.put(image(TOOL, Cmd=["/tool.wasm"]), "tool")
    data = shelf.put(image(layer(Entry("old", b"x"))), "data")
    source = ImageVolume(image=data, pull_policy=PullPolicy.ALWAYS)
    container = container_of(C, mounts=(Mount(volume="v", path="/v"),))
    container = msgspec.structs.replace(container, image=tool)
    plan = pod_of(container, volumes=(VolumePlan(name="v", source=source),))
    async with open_images(insecure_registries=(registry.host,), **no_room) as images:
        volumes = SimpleNamespace(image_folders=ImageFolders())
        node: Any = SimpleNamespace(images=asyncio.Future(), volumes=volumes, externals={})
        node.images.set_result(images)
        clock = Clock()
        driver = Driver(clock, plan)
        driver.tell()
        (want,) = driver.tell(VolumesPrepared(attempt=1))
        assert isinstance(want, PrepareImage)
        driver.tell(await prepared(node, driver.pod, want))
        driver.started()
        had = volumes.image_folders.find(plan.uid, "v")
        assert had is not None

        shelf.put(image(layer(Entry("new", b"y"))), "data")
        moved = await images.mounted(data, PullPolicy.ALWAYS)
        assert names_in(str(moved.folder)) == ["new"]
        after = next_driver(clock, plan, record(driver), alive(clock))
        kept = record(after)
        node.checkpoint = SimpleNamespace(records={plan.uid: kept})
        node.settings = SimpleNamespace(toolbox_image="")
        roster: Any = [SimpleNamespace(pod=after.pod)]
        await images.collector(lambda: images_in_use(node, roster)).collect()
        assert names_in(had) == ["old"]
        roster, node.checkpoint.records = [], {}
        await images.collector(lambda: images_in_use(node, roster)).collect()
        assert names_in(had) == []


async def prepared(node: Any, pod: Pod, want: PrepareImage) -> Input:
    """What the pod's task is told of its container's images."""
    told: asyncio.Queue[Input] = asyncio.Queue()
    ignored: Any = None
    async with asyncio.TaskGroup() as node.tasks:
        hands = Hands(node, ignored, pod, told.put_nowait, lambda _occurrence: None)
        await hands.do(want)
        return await told.get()
