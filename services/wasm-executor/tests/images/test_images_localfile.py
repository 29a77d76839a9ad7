"""`file:` images: only what lies in an allowed folder, whatever symbolic links say."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from contract.messages.pull import PullPolicy
from wasm_executor.images.errors import ImageError
from wasm_executor.images.puller import ImageService

type OpenImages = Callable[..., AbstractAsyncContextManager[ImageService]]
type WriteModule = Callable[..., str]

NEVER = PullPolicy.NEVER


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    return tmp_path / "modules"


async def refusal(images: ImageService, image: str) -> str:
    with pytest.raises(ImageError) as caught:
        await images.ensure(image, NEVER)
    return f"{caught.value.reason}: {caught.value.message}"


async def test_a_file_is_present_whatever_the_policy(
    open_images: OpenImages, allowed: Path, module: WriteModule
) -> None:
    image = module()
    async with open_images(local_folders=(allowed,)) as images:
        prepared = [await images.ensure(image, policy) for policy in PullPolicy]
    assert {each.image_id for each in prepared} == {f"{image}@{prepared[0].layer_digest}"}
    assert not any(each.pulled for each in prepared)


async def test_what_another_engine_runs_is_looked_at_and_not_compiled(
    open_images: OpenImages, allowed: Path, module: WriteModule
) -> None:
    later = b"\0asm\x0d\x00\x01\x00" + b"\x0b\x02ok"
    async with open_images(local_folders=(allowed,)) as images:
        prepared = await images.ensure(module(later, "later"), NEVER, compiled=False)
        assert (prepared.facts.kind, prepared.compiled) == ("component", False)
        assert prepared.wasm_path.read_bytes() == later
        assert "failed to compile" in await refusal(images, prepared.image)
        with pytest.raises(ImageError, match="not WebAssembly"):
            await images.ensure(module(b"#!/bin/sh", "script"), NEVER, compiled=False)


@pytest.fixture
def texts(allowed: Path) -> Path:
    allowed.mkdir()
    (allowed / "whole.wat").write_text('(module (func (export "_start")))')
    (allowed / "half.wat").write_text("(module (func")
    return allowed


async def test_a_local_file_may_be_text(open_images: OpenImages, texts: Path) -> None:
    async with open_images(local_folders=(texts,)) as images:
        assert (await images.ensure(f"file:{texts}/whole.wat", NEVER)).facts.kind == "module"
        refused = await refusal(images, f"file:{texts}/half.wat")
    assert refused.startswith("CreateContainerError: ")
    assert "invalid WebAssembly text: expected `)`" in refused


async def test_a_changed_file_is_another_image(
    open_images: OpenImages, allowed: Path, module: WriteModule
) -> None:
    async with open_images(local_folders=(allowed,)) as images:
        before = await images.ensure(module(), NEVER)
        after = await images.ensure(module('(module (func (export "_start") nop))'), NEVER)
    assert before.layer_digest != after.layer_digest


async def test_a_link_that_leads_out_of_the_folder_is_refused(
    open_images: OpenImages, allowed: Path, module: WriteModule, tmp_path: Path
) -> None:
    module()
    secret = tmp_path / "secret.wasm"
    secret.write_bytes(b"secret")
    (allowed / "link.wasm").symlink_to(secret)
    (allowed / "folder").symlink_to(tmp_path)
    (allowed / "inside.wasm").symlink_to(allowed / "m.wasm")
    outside = "lies outside the folders that this node allows for images"
    async with open_images(local_folders=(allowed,)) as images:
        assert outside in await refusal(images, f"file:{allowed}/link.wasm")
        assert outside in await refusal(images, f"file:{allowed}/folder/secret.wasm")
        assert outside in await refusal(images, f"file:{allowed}/../secret.wasm")
        assert outside in await refusal(images, f"file:{secret}")
        assert (await images.ensure(f"file:{allowed}/inside.wasm", NEVER)).size_bytes > 0


async def test_a_folder_that_only_begins_alike_is_outside(
    open_images: OpenImages, allowed: Path, module: WriteModule, tmp_path: Path
) -> None:
    module()
    (tmp_path / "modules-2").mkdir()
    (tmp_path / "modules-2" / "m.wasm").write_bytes(b"x")
    async with open_images(local_folders=(allowed,)) as images:
        assert "outside" in await refusal(images, f"file:{tmp_path}/modules-2/m.wasm")


async def test_without_allowed_folders_there_are_no_local_images(
    open_images: OpenImages, module: WriteModule
) -> None:
    async with open_images() as images:
        assert "outside the folders" in await refusal(images, module())


def elsewhere(tmp_path: Path) -> list[Path]:
    """Return paths outside: a file, none, a folder, one in a folder, one below a file."""
    (tmp_path / "home").mkdir(parents=True)
    (tmp_path / "home" / "there").write_bytes(b"x")
    names = ("home/there", "home/none", "home", "none/none", "home/there/none")
    return [tmp_path / name for name in names]


def told(refused: str, path: str) -> str:
    return refused.replace(path, "PATH")


async def test_nothing_is_told_of_what_lies_outside(
    open_images: OpenImages, allowed: Path, module: WriteModule, tmp_path: Path
) -> None:
    module()
    said = set()
    for folders in ((), (allowed,)):
        async with open_images(local_folders=folders) as images:
            for number, path in enumerate(elsewhere(tmp_path / str(len(folders)))):
                (allowed / f"{len(folders)}-{number}").symlink_to(path)
                ways = (
                    f"{path}",
                    f"{allowed}/../{path.relative_to(tmp_path)}",
                    f"{allowed}/{len(folders)}-{number}",
                    f"{allowed}/{len(folders)}-{number}/more",
                )
                said |= {told(await refusal(images, f"file:{way}"), way) for way in ways}
    (text,) = said
    assert text.endswith("PATH lies outside the folders that this node allows for images")


async def test_a_file_outside_is_not_opened(
    open_images: OpenImages, allowed: Path, module: WriteModule, tmp_path: Path
) -> None:
    module()
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    (allowed / "link").symlink_to(secret)
    opened: set[str] = set()

    def hear(event: str, details: tuple[object, ...]) -> None:
        if event == "open" and listening:
            path, _, flags = details
            if not (isinstance(flags, int) and flags & os.O_PATH):
                opened.add(str(path))

    listening = True
    sys.addaudithook(hear)
    async with open_images(local_folders=(allowed,)) as images:
        await refusal(images, f"file:{secret}")
        await refusal(images, f"file:{allowed}/link")
    listening = False
    assert not opened & {str(secret), f"{allowed}/link"}
    assert not {each for each in opened if each.startswith("/proc/self/fd/")}


async def test_an_allowed_folder_may_itself_be_reached_by_a_link(
    open_images: OpenImages, allowed: Path, module: WriteModule, tmp_path: Path
) -> None:
    module()
    (tmp_path / "link").symlink_to(allowed)
    async with open_images(local_folders=(tmp_path / "link",)) as images:
        for folder in (tmp_path / "link", allowed):
            assert (await images.ensure(f"file:{folder}/m.wasm", NEVER)).size_bytes > 0


async def test_what_is_not_a_regular_file_is_refused_without_waiting(
    open_images: OpenImages, allowed: Path, module: WriteModule
) -> None:
    module()
    os.mkfifo(allowed / "pipe.wasm")
    async with open_images(local_folders=(allowed,)) as images:
        assert "is not a regular file" in await refusal(images, f"file:{allowed}/pipe.wasm")
        assert "is not a regular file" in await refusal(images, f"file:{allowed}")
        missing = await refusal(images, f"file:{allowed}/none.wasm")
    assert missing.startswith("ErrImagePull: ")
    assert missing.endswith(f"open {allowed}/none.wasm: no such file or directory")


async def test_a_relative_path_is_no_image_name(open_images: OpenImages) -> None:
    async with open_images() as images:
        assert (await refusal(images, "file:hello.wasm")).startswith("InvalidImageName: ")


async def test_a_hundred_warm_local_files_cost_less_than_one_cold_one(
    open_images: OpenImages, allowed: Path, module: WriteModule
) -> None:
    image = module()
    async with open_images(local_folders=(allowed,)) as images:
        started_at = time.perf_counter()
        await images.ensure(image, NEVER)
        cold_s = time.perf_counter() - started_at
        for _ in range(100):
            await images.ensure(image, NEVER)
        assert time.perf_counter() - started_at < 2 * cold_s
