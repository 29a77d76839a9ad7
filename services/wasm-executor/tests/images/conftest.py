"""Image services in a task group of the test's own, and modules for them to run."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from wasmtime import wat2wasm

from wasm_executor.images.puller import ImageService
from wasm_executor.images.settings import ImageSettings

type OpenImages = Callable[..., AbstractAsyncContextManager[ImageService]]


@pytest.fixture
def open_images(tmp_path: Path) -> OpenImages:
    """Open the service on one data directory, as often as a test restarts it."""

    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[ImageService]:
        wanted = ImageSettings(**{"root": tmp_path / "images", **settings})
        async with asyncio.TaskGroup() as tasks:
            yield await ImageService.open(wanted, tasks)

    return opened


@pytest.fixture
def module(tmp_path: Path) -> Callable[..., str]:
    """Write a module, given as text or as bytes; return its name as an image."""
    folder = tmp_path / "modules"
    folder.mkdir()

    def write(source: str | bytes = '(module (func (export "_start")))', name: str = "m") -> str:
        content = bytes(wat2wasm(source)) if isinstance(source, str) else source
        path = folder / f"{name}.wasm"
        path.write_bytes(content)
        return f"file:{path}"

    return write
