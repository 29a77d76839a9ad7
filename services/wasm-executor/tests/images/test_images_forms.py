"""Images whose files hold the module, indexes and volumes, pulled from a real registry."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from layers import (
    OCI,
    OCI_INDEX,
    Entry,
    described,
    digest,
    image,
    index,
    layer,
    symlink,
    zstandard,
)
from registry_shelf import Shelf
from wasmtime import wat2wasm

from contract.messages.pull import PullPolicy
from controlplane.registry import Registry
from wasm_executor.images.errors import ImageError
from wasm_executor.images.puller import ImageService
from wasm_executor.images.records import Overrides

IF_NOT_PRESENT, NEVER = PullPolicy.IF_NOT_PRESENT, PullPolicy.NEVER

type OpenImages = Callable[..., AbstractAsyncContextManager[ImageService]]


def wasm(number: int) -> bytes:
    return bytes(wat2wasm(f'(module (func (export "_start") (drop (i32.const {number}))))'))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
async def images(registry: Registry, open_images: OpenImages) -> Any:
    async with open_images(insecure_registries=(registry.host,)) as opened:
        yield opened


@pytest.fixture
def shelf(registry: Registry, request: pytest.FixtureRequest) -> Shelf:
    return Shelf(registry.host, request.node.originalname.replace("test_", "").replace("_", "-"))


async def failure(images: ImageService, name: str, **more: Any) -> ImageError:
    with pytest.raises(ImageError) as caught:
        await images.ensure(name, IF_NOT_PRESENT, **more)
    return caught.value


def names_in(folder: str) -> list[str]:
    return sorted(each.name for each in Path(folder).rglob("*"))


@pytest.mark.parametrize("docker", [False, True])
async def test_an_image_of_files_runs_what_its_entrypoint_names(
    docker: bool,  # noqa: FBT001 - a parameter of the test
    images: ImageService,
    shelf: Shelf,
) -> None:
    base = layer(Entry("app/old.wasm", wasm(1)), Entry("data/f", b"content"))
    top = layer(Entry("app/main.wasm", wasm(2)), Entry("app/.wh.old.wasm"))
    settings = {
        "Entrypoint": ["/app/main.wasm"],
        "Cmd": ["--fast"],
        "Env": ["A=1", "B=x=y"],
        "WorkingDir": "/data",
    }
    made = image(base, top, docker=docker, **settings)
    prepared = await images.ensure(shelf.put(made, f"v{docker}"), IF_NOT_PRESENT)
    assert prepared.image_id == f"{shelf.name}@{made.digest}"
    assert prepared.layer_digest == digest(wasm(2))
    assert prepared.facts.wasm_bytes == len(wasm(2))
    assert prepared.config.entrypoint == ("/app/main.wasm",)
    assert prepared.config.cmd == ("--fast",)
    assert prepared.config.env == (("A", "1"), ("B", "x=y"))
    assert prepared.config.working_dir == "/data"
    assert names_in(prepared.rootfs) == ["app", "data", "f", "main.wasm"]
    packed = sum(each["size"] for each in json.loads(made.manifest)["layers"])
    assert prepared.size_bytes == packed


TOOLS = layer(
    Entry("usr/bin/tool", wasm(1)),
    Entry("work/tool.wasm", wasm(2)),
    Entry("tool.wasm", wasm(3)),
    symlink("abs", "/usr/bin/tool"),
    Entry("text", b"#!/bin/sh"),
)


@pytest.mark.parametrize(
    ("command", "working_dir", "number"),
    [
        (("/usr/bin/tool",), "", 1),
        (("tool", "x"), "", 1),
        (("tool.wasm",), "work", 2),
        (("./tool.wasm",), "/work", 2),
        (("../tool.wasm",), "/work", 3),
        (("tool.wasm",), "", 3),
        (("/abs",), "", 1),
        ((), "", 3),
    ],
)
async def test_the_first_word_names_the_module(
    command: tuple[str, ...],
    working_dir: str,
    number: int,
    images: ImageService,
    shelf: Shelf,
) -> None:
    name = shelf.put(image(TOOLS, Cmd=["/tool.wasm"], Env=["PATH=/bin:/usr/bin"]))
    wanted = Overrides(command=command, working_dir=working_dir)
    prepared = await images.ensure(name, IF_NOT_PRESENT, overrides=wanted)
    assert prepared.layer_digest == digest(wasm(number))
    again = await images.ensure(name, NEVER, overrides=wanted)
    assert again.aot_path == prepared.aot_path


async def test_what_names_no_module_says_so(images: ImageService, shelf: Shelf) -> None:
    name = shelf.put(image(TOOLS))

    async def message(*command: str) -> str:
        error = await failure(images, name, overrides=Overrides(command=command))
        assert error.reason == "CreateContainerError"
        return error.message

    assert "no command specified" in await message()
    assert 'exec: "curl": executable file not found in $PATH' in await message("curl")
    assert 'exec: "/x/y": stat /x/y: no such file or directory' in await message("/x/y")
    assert 'exec: "/work": stat /work: no such file' in await message("/work")
    assert "not WebAssembly: the file begins with 23 21 2f 62" in await message("/text")
    assert "no such file" in await message("/../../../../../etc/passwd")


async def test_pods_of_images_with_the_same_layers_share_one_folder(
    images: ImageService, shelf: Shelf
) -> None:
    one = await images.ensure(shelf.put(image(TOOLS, Cmd=["/tool.wasm"]), "a"), IF_NOT_PRESENT)
    two = await images.ensure(shelf.put(image(TOOLS, Cmd=["tool.wasm"]), "b"), IF_NOT_PRESENT)
    assert one.manifest_digest != two.manifest_digest
    assert one.rootfs == two.rootfs


async def test_the_webassembly_image_of_nested_indexes_is_run(
    images: ImageService, shelf: Shelf
) -> None:
    made = image(TOOLS, packed=zstandard, Entrypoint=["/tool.wasm"])
    shelf.put(made, "inner")
    other = image(layer(), Entrypoint=["/bin/sh"])
    shelf.put(other, "amd64")
    inner = index(linux_amd64=other, wasip1_wasm=made)
    shelf.manifest(inner, OCI_INDEX, "index")
    outer = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [described(inner, OCI_INDEX)],
    }
    content = json.dumps(outer).encode()
    name = shelf.manifest(content, OCI_INDEX, "outer")
    prepared = await images.ensure(name, IF_NOT_PRESENT)
    assert prepared.layer_digest == digest(wasm(3))
    assert prepared.image_id == f"{shelf.name}@{digest(content)}"


async def test_images_and_artifacts_are_mounted_as_files(
    images: ImageService, shelf: Shelf
) -> None:
    mounted = await images.mounted(shelf.put(image(TOOLS)), IF_NOT_PRESENT)
    assert (mounted.folder / "work" / "tool.wasm").read_bytes() == wasm(2)
    shelf.blob(b"weights")
    shelf.blob(b"{}")
    title = {"org.opencontainers.image.title": "models/m.bin"}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": described(b"{}", "application/vnd.oci.empty.v1+json"),
        "layers": [described(b"weights", "application/x.model", annotations=title)],
    }
    name = shelf.manifest(json.dumps(document).encode(), OCI, "model")
    artifact = await images.mounted(name, IF_NOT_PRESENT)
    assert (artifact.folder / "models" / "m.bin").read_bytes() == b"weights"
    assert (await images.mounted(name, NEVER)).folder == artifact.folder
    assert 'unsupported media type "application/x.model"' in (await failure(images, name)).message


async def test_what_was_collected_is_pulled_again_and_what_is_used_is_not(
    registry: Registry, open_images: OpenImages, shelf: Shelf
) -> None:
    used = shelf.put(image(TOOLS, Cmd=["/tool.wasm"]), "used")
    unused = shelf.put(image(layer(Entry("x.wasm", wasm(9))), Cmd=["/x.wasm"]), "unused")
    no_room = {"gc_high_percent": 0, "gc_low_percent": 0, "gc_min_age_s": 0.0}
    async with open_images(insecure_registries=(registry.host,), **no_room) as images:
        kept = await images.ensure(used, IF_NOT_PRESENT)
        lost = await images.ensure(unused, IF_NOT_PRESENT)
        assert names_in(lost.rootfs) == ["x.wasm"]
        listed = {each.names for each in images.listed()}
        assert listed == {(kept.image_id, used), (lost.image_id, unused)}
        assert await images.collector(lambda: {kept.image_id}).collect() == 1
        assert [each.names[1] for each in images.listed()] == [used]
        assert not (await images.ensure(used, IF_NOT_PRESENT)).pulled
        assert kept.aot_path.stat().st_size == kept.facts.object_bytes
        assert names_in(lost.rootfs) == []
        assert (await images.ensure(unused, IF_NOT_PRESENT)).pulled
        assert names_in(lost.rootfs) == ["x.wasm"]
    async with open_images(insecure_registries=(registry.host,)) as images:
        assert not (await images.ensure(unused, IF_NOT_PRESENT)).pulled
