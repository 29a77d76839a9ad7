"""Artifacts that others' tools push are run: each tool where it is to be had."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from contract.messages.pull import PullPolicy
from controlplane.errors import BuildError
from controlplane.golang import build_environment, usable_go
from controlplane.registry import Registry
from wasm_executor.images.puller import ImageService

type OpenImages = Callable[..., AbstractAsyncContextManager[ImageService]]

ORAS_MODULE = Path(__file__).parents[4] / "tests" / "e2e" / "go" / "oras"
ORAS = "oras.land/oras/cmd/oras"
BUILD_WITHIN_S = 1200
MODULE = bytes(wat2wasm('(module (func (export "_start")))'))
COMPONENT = bytes(wat2wasm("(component)"))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is pushed, by relative names, as people do."""
    (tmp_path / "app.wasm").write_bytes(MODULE)
    (tmp_path / "part.wasm").write_bytes(COMPONENT)
    (tmp_path / "config.json").write_text('{"architecture": "wasm", "os": "wasip1"}')
    return tmp_path


@pytest.fixture(scope="module")
def oras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine's, else one built from its Go module."""
    found = shutil.which("oras")
    if found is not None:
        return Path(found)
    try:
        go, _ = usable_go()
    except BuildError as error:
        pytest.skip(f"there is neither oras nor a Go to build it with: {error}")
    built = tmp_path_factory.mktemp("oras") / "oras"
    command = [str(go), "build", "-o", str(built), ORAS]
    environ = build_environment()
    subprocess.run(command, cwd=ORAS_MODULE, env=environ, check=True, timeout=BUILD_WITHIN_S)
    return built


def said(command: list[str], folder: Path) -> None:
    environ = os.environ | {"HOME": str(folder)}
    ended = subprocess.run(command, cwd=folder, env=environ, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()


async def digest_of_what_runs(images: ImageService, name: str) -> str:
    return (await images.ensure(name, PullPolicy.ALWAYS)).layer_digest


@pytest.mark.slow
@pytest.mark.timeout(BUILD_WITHIN_S + 60)
async def test_what_oras_pushes_is_run(
    registry: Registry, folder: Path, oras: Path, open_images: OpenImages
) -> None:
    host = registry.host
    config = "config.json:application/vnd.wasm.config.v0+json"
    krustlet = "application/vnd.wasm.content.layer.v1+wasm"
    pushes = {
        f"{host}/plain:v1": ["app.wasm:application/wasm"],
        f"{host}/config:v1": ["--config", config, "app.wasm:application/wasm"],
        f"{host}/typed:v1": [
            "--artifact-type",
            "application/vnd.wasm.config.v0+json",
            "app.wasm:application/wasm",
        ],
        f"{host}/krustlet:v1": [f"app.wasm:{krustlet}"],
    }
    for name, words in pushes.items():
        command = [str(oras), "push", "--plain-http", name, *words]
        await asyncio.to_thread(said, command, folder)
    async with open_images(insecure_registries=(host,)) as images:
        digests = {await digest_of_what_runs(images, name) for name in pushes}
    assert len(digests) == 1


@pytest.mark.debian
@pytest.mark.skipif(
    shutil.which("skopeo") is None, reason="needs skopeo, a package of Debian's and others'"
)
async def test_what_skopeo_copies_is_run(
    registry: Registry, folder: Path, open_images: OpenImages
) -> None:
    pushed, copied = f"{registry.host}/before:v1", f"{registry.host}/after:v1"
    options = ["--src-tls-verify=false", "--dest-tls-verify=false"]
    push = [sys.executable, "-m", "wasmlet", "push", "--insecure", "app.wasm", pushed]
    copy = ["skopeo", "copy", *options, f"docker://{pushed}", f"docker://{copied}"]
    for command in (push, copy):
        await asyncio.to_thread(said, command, folder)
    async with open_images(insecure_registries=(registry.host,)) as images:
        before, after = [await digest_of_what_runs(images, name) for name in (pushed, copied)]
    assert before == after


@pytest.mark.skipif(
    shutil.which("wkg") is None, reason="needs wkg, a crate whose build takes many minutes"
)
async def test_what_wkg_pushes_is_run(
    registry: Registry, folder: Path, open_images: OpenImages
) -> None:
    name = f"{registry.host}/of-wkg:v1"
    command = ["wkg", "oci", "push", "--insecure", registry.host, name, "part.wasm"]
    await asyncio.to_thread(said, command, folder)
    async with open_images(insecure_registries=(registry.host,)) as images:
        prepared = await images.ensure(name, PullPolicy.ALWAYS)
    assert prepared.facts.kind == "component"
