"""Image services, scripted registries, pulls of them, and modules to run."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from scripted_registry import LIMITS, Peer
from small_disks import disk_of
from wasmtime import wat2wasm

from wasm_executor.images.jobrunner import PULL, JobRunner
from wasm_executor.images.jobs import Credentials, JobResult, PullJob, PullLimits
from wasm_executor.images.puller import ImageService
from wasm_executor.images.settings import ImageSettings
from wasm_executor.images.store import ContentStore

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


@pytest.fixture
def open_peer() -> Iterator[Callable[..., Peer]]:
    with ExitStack() as stack:
        yield lambda *pair: stack.enter_context(Peer(*pair))


@pytest.fixture
def peer(open_peer: Callable[[], Peer]) -> Peer:
    return open_peer()


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    made = ContentStore(tmp_path / "images")
    made.prepare()
    return made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[ContentStore]:
    """A store on a disk of 256 KiB."""
    with disk_of(tmp_path / "disk", "256k") as folder:
        made = ContentStore(folder / "images")
        made.prepare()
        yield made


type Pull = Callable[..., Any]


@pytest.fixture
def pull(store: ContentStore) -> Pull:
    async def run(
        reference: str,
        *plain: str,
        limits: PullLimits = LIMITS,
        credentials: Credentials | None = None,
        **more: Any,
    ) -> JobResult:
        job = PullJob(
            reference=reference,
            store=more.pop("store", str(store.root)),
            parent_pid=os.getpid(),
            insecure_registries=plain or (reference.split("/", 1)[0],),
            credentials=() if credentials is None else (credentials,),
            limits=limits,
            **more,
        )
        return await JobRunner(store).run(PULL, job, timeout_s=30.0)

    return run
