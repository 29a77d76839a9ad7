"""Images that another builder makes and pushes, FROM scratch: each of its forms is run."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager

import httpx
import pytest
from wasmtime import wat2wasm

from contract.messages.pull import PullPolicy
from controlplane.registry import Registry
from wasm_executor.images.puller import ImageService

type OpenImages = Callable[..., AbstractAsyncContextManager[ImageService]]

pytestmark = [
    pytest.mark.debian,
    pytest.mark.skipif(
        shutil.which("buildah") is None or os.geteuid() != 0,
        reason="needs buildah (a Debian package), and root to run it without user namespaces",
    ),
]
ACCEPT = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def names(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Build an image and push it in each form; return the references."""
    folder = tmp_path_factory.mktemp("buildah")
    (folder / "app.wasm").write_bytes(wat2wasm('(module (func (export "_start")))'))
    own = ["--root", str(folder / "r"), "--runroot", str(folder / "rr"), "--storage-driver", "vfs"]

    def buildah(*arguments: str) -> str:
        command = ["buildah", *own, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    settings = ("--entrypoint", '["/app/main.wasm"]', "--env", "A=b", "--workingdir", "/app")
    forms = {"zstd": ("oci", "zstd"), "oci": ("oci", "gzip"), "docker": ("v2s2", "gzip")}
    found = {}
    for name, (form, packed) in forms.items():
        # A layer of its own: what a registry has already is not packed again.
        container = buildah("from", "scratch")
        (folder / name).write_text(name)
        buildah("copy", container, str(folder / name), f"/{name}")
        buildah("copy", container, str(folder / "app.wasm"), "/app/main.wasm")
        buildah("config", *settings, "--os", "wasi", "--arch", "wasm", container)
        buildah("commit", "--format", "docker" if name == "docker" else "oci", container, name)
        found[name] = f"{registry.host}/{name}:v1"
        options = ("--tls-verify=false", "--format", form, "--compression-format", packed)
        buildah("push", *options, name, f"docker://{found[name]}")
    buildah("manifest", "create", "all")
    buildah("manifest", "add", "--os", "wasi", "--arch", "wasm", "all", "oci")
    found["index"] = f"{registry.host}/index:v1"
    buildah("manifest", "push", "--all", "--tls-verify=false", "all", f"docker://{found['index']}")
    return found


def packings(registry: Registry, name: str) -> list[str]:
    """Say how the layers of an image are packed, by their labels."""
    url = f"{registry.url}/v2/{name}/manifests/v1"
    manifest = json.loads(httpx.get(url, headers={"Accept": ACCEPT}).content)
    return [each["mediaType"].rpartition("+")[2] for each in manifest["layers"]]


async def test_each_form_that_buildah_pushes_is_run(
    registry: Registry, names: dict[str, str], open_images: OpenImages
) -> None:
    assert packings(registry, "zstd") == ["zstd"]
    async with open_images(insecure_registries=(registry.host,)) as images:
        for name in names.values():
            prepared = await images.ensure(name, PullPolicy.ALWAYS)
            assert prepared.config.entrypoint == ("/app/main.wasm",)
            assert dict(prepared.config.env)["A"] == "b"
            assert prepared.config.working_dir == "/app"
            assert prepared.facts.exports == ("_start",)
