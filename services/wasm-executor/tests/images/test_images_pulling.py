"""Pulls from a real registry: policies, names that move, TLS, logins, and what stays on disk."""

import asyncio
import hashlib
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from wasmtime import wat2wasm

from contract.messages.pull import PullPolicy
from controlplane.registry import Registry
from wasm_executor.images.errors import ImageError
from wasm_executor.images.policy import ImageEvent
from wasm_executor.images.puller import ImageService

IF_NOT_PRESENT, ALWAYS, NEVER = PullPolicy.IF_NOT_PRESENT, PullPolicy.ALWAYS, PullPolicy.NEVER

SPANS = re.compile(r"in (\S+) \((\S+) including waiting\)")

type OpenImages = Callable[..., AbstractAsyncContextManager[ImageService]]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


def wasm(number: int) -> bytes:
    """Different numbers make different modules."""
    return bytes(wat2wasm(f'(module (func (export "_start") (drop (i32.const {number}))))'))


def push(path: Path, reference: str, *options: object) -> str:
    """Push as a user does; return `name@digest`."""
    command = [sys.executable, "-m", "wasmlet", "push", path, reference, *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def published(registry: Registry, tmp_path: Path) -> Callable[..., str]:
    """Push module number N to the registry; return `name@digest`."""

    def publish(number: int, name: str) -> str:
        path = tmp_path / "app.wasm"
        path.write_bytes(wasm(number))
        return push(path, f"{registry.host}/{name}", "--insecure")

    return publish


async def failure(images: ImageService, image: str, policy: PullPolicy, **more: Any) -> ImageError:
    with pytest.raises(ImageError) as caught:
        await images.ensure(image, policy, **more)
    return caught.value


async def test_a_pushed_module_is_pulled_compiled_and_named_by_its_manifest(
    registry: Registry, open_images: OpenImages, published: Callable[..., str]
) -> None:
    by_digest = published(1, "first:v1")
    image = f"{registry.host}/first:v1"
    seen: list[ImageEvent] = []
    async with open_images(insecure_registries=(registry.host,)) as images:
        prepared = await images.ensure(image, IF_NOT_PRESENT, on_event=seen.append)
    assert prepared.image_id == by_digest
    assert prepared.pulled
    assert prepared.aot_path.stat().st_size == prepared.facts.object_bytes
    assert prepared.size_bytes == len(wasm(1))
    assert seen[0].message == f'Pulling image "{image}"'
    assert seen[1].message.startswith(f'Successfully pulled image "{image}" in ')
    assert seen[1].message.endswith(f"Image size: {len(wasm(1))} bytes.")


async def test_a_present_image_needs_no_registry_after_a_restart(
    tmp_path: Path, open_images: OpenImages
) -> None:
    path = tmp_path / "app.wasm"
    path.write_bytes(wasm(2))
    with Registry(tmp_path / "registry") as gone:
        image = f"{gone.host}/app"
        push(path, image, "--insecure")
        async with open_images(insecure_registries=(gone.host,)) as images:
            first = await images.ensure(image, IF_NOT_PRESENT)
    seen: list[ImageEvent] = []
    async with open_images(insecure_registries=(gone.host,)) as images:
        again = await images.ensure(image, IF_NOT_PRESENT, on_event=seen.append)
        never = await images.ensure(image, NEVER)
        by_digest = await images.ensure(first.image_id, NEVER)
        refused = await failure(images, image, ALWAYS)
    assert again.aot_path == never.aot_path == by_digest.aot_path == first.aot_path
    assert not again.pulled
    assert [event.message for event in seen] == [
        f'Container image "{image}" already present on machine and can be accessed by the pod'
    ]
    assert refused.reason == "ErrImagePull"
    assert "connection refused" in refused.message


async def test_always_follows_a_name_that_moved_and_if_not_present_does_not(
    registry: Registry, open_images: OpenImages, published: Callable[..., str]
) -> None:
    image = f"{registry.host}/moving:v1"
    old = published(3, "moving:v1")
    async with open_images(insecure_registries=(registry.host,)) as images:
        assert (await images.ensure(image, IF_NOT_PRESENT)).image_id == old
        new = published(4, "moving:v1")
        assert (await images.ensure(image, IF_NOT_PRESENT)).image_id == old
        assert (await images.ensure(image, ALWAYS)).image_id == new
        assert (await images.ensure(image, IF_NOT_PRESENT)).image_id == new
        assert (await images.ensure(old, NEVER)).image_id == old


async def test_never_does_not_pull(
    registry: Registry, open_images: OpenImages, published: Callable[..., str]
) -> None:
    published(5, "never:v1")
    image = f"{registry.host}/never:v1"
    seen: list[ImageEvent] = []
    async with open_images(insecure_registries=(registry.host,)) as images:
        error = await failure(images, image, NEVER, on_event=seen.append)
    assert error.reason == "ErrImageNeverPull"
    assert error.message == f'Container image "{image}" is not present with pull policy of Never'
    assert [event.reason for event in seen] == ["ErrImageNeverPull", "Failed"]


async def test_a_plain_registry_outside_the_list_is_not_spoken_to(
    registry: Registry, open_images: OpenImages, published: Callable[..., str]
) -> None:
    published(6, "plain:v1")
    async with open_images() as images:
        error = await failure(images, f"{registry.host}/plain:v1", IF_NOT_PRESENT)
    assert error.message.endswith(
        "http: server gave HTTP response to HTTPS client"
        " (INSECURE_REGISTRIES allows plain HTTP, where that is meant)"
    )


async def test_a_private_ca_is_a_setting(tmp_path: Path, open_images: OpenImages) -> None:
    path = tmp_path / "app.wasm"
    path.write_bytes(wasm(7))
    with Registry(tmp_path / "registry", tls=True) as secure:
        image = f"{secure.host}/app"
        pushed = push(path, image, "--ca-file", secure.authority)
        async with open_images() as images:
            error = await failure(images, image, IF_NOT_PRESENT)
        async with open_images(ca_file=secure.authority) as images:
            prepared = await images.ensure(image, IF_NOT_PRESENT)
    assert error.message.endswith(
        "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        " (REGISTRY_CA_FILE, or a .crt file in REGISTRY_CONFIG_DIR, has it trusted)"
    )
    assert prepared.image_id == pushed


def upload(host: str, name: str, manifest: dict[str, Any], blobs: list[bytes]) -> None:
    """Put what `wasmlet push` would not make."""
    base = f"http://{host}/v2/{name}"
    for blob in blobs:
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        begin = urllib.request.Request(f"{base}/blobs/uploads/", method="POST")  # noqa: S310  # ours
        with urllib.request.urlopen(begin) as answer:  # noqa: S310  # ours
            location = answer.headers["Location"]
        put = urllib.request.Request(  # noqa: S310  # ours
            f"{location}&digest={digest}", blob, {"Content-Type": "x/y"}, method="PUT"
        )
        urllib.request.urlopen(put).close()  # noqa: S310  # ours
    put = urllib.request.Request(  # noqa: S310  # ours
        f"{base}/manifests/v1",
        json.dumps(manifest).encode(),
        {"Content-Type": manifest["mediaType"]},
        method="PUT",
    )
    urllib.request.urlopen(put).close()  # noqa: S310  # ours


def descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(blob)}


def artifact(layer_type: str, content: bytes) -> tuple[dict[str, Any], list[bytes]]:
    config = b"{}"
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.wasm.config.v1+json", config),
        "layers": [descriptor(layer_type, content)],
    }
    return manifest, [config, content]


async def test_who_joins_a_pull_waits_no_shorter_than_it_lasted_for_him(
    registry: Registry, open_images: OpenImages, published: Callable[..., str]
) -> None:
    published(12, "joined:v1")
    image = f"{registry.host}/joined:v1"
    first: list[ImageEvent] = []
    joiner: list[ImageEvent] = []
    async with (
        open_images(insecure_registries=(registry.host,)) as images,
        asyncio.TaskGroup() as tasks,
    ):

        def ask(told: list[ImageEvent]) -> None:
            tasks.create_task(images.ensure(image, ALWAYS, on_event=told.append))

        ask(first)
        # A pull takes longer: it is a process that has to start.
        asyncio.get_running_loop().call_later(0.1, ask, joiner)
    spans = [SPANS.findall(told[-1].message)[0] for told in (first, joiner)]
    (whole, with_turn), (own, waited) = ([seconds(each) for each in pair] for pair in spans)
    assert own == waited < whole <= with_turn


def seconds(duration: str) -> float:
    """Read a Go duration below a minute."""
    return float(duration[:-2]) / 1000 if duration.endswith("ms") else float(duration[:-1])


async def test_an_artifact_of_krustlets_time_runs_too(
    registry: Registry, open_images: OpenImages
) -> None:
    layer_type = "application/vnd.wasm.content.layer.v1+wasm"
    upload(registry.host, "old", *artifact(layer_type, wasm(8)))
    async with open_images(insecure_registries=(registry.host,)) as images:
        prepared = await images.ensure(f"{registry.host}/old:v1", IF_NOT_PRESENT)
    assert prepared.facts.wasm_bytes == len(wasm(8))


async def test_equal_configs_do_not_make_equal_images(
    registry: Registry, open_images: OpenImages
) -> None:
    upload(registry.host, "one", *artifact("application/wasm", wasm(9)))
    upload(registry.host, "two", *artifact("application/wasm", wasm(10)))
    async with open_images(insecure_registries=(registry.host,)) as images:
        one = await images.ensure(f"{registry.host}/one:v1", IF_NOT_PRESENT)
        two = await images.ensure(f"{registry.host}/two:v1", IF_NOT_PRESENT)
    assert one.manifest_digest != two.manifest_digest
    assert one.aot_path != two.aot_path


async def test_a_layer_that_a_disk_has_spoilt_is_pulled_again(
    registry: Registry, open_images: OpenImages, published: Callable[..., str], tmp_path: Path
) -> None:
    published(11, "spoilt:v1")
    image = f"{registry.host}/spoilt:v1"
    async with open_images(insecure_registries=(registry.host,)) as images:
        prepared = await images.ensure(image, IF_NOT_PRESENT)
        await images.forget_compiled(prepared)
        blob = tmp_path / "images" / "blobs" / prepared.layer_digest.replace(":", "/")
        blob.write_bytes(bytes(prepared.size_bytes))
        error = await failure(images, image, IF_NOT_PRESENT)
        assert error.reason == "CreateContainerError"
        assert error.retry
        again = await images.ensure(image, IF_NOT_PRESENT)
    assert again.pulled
    assert again.aot_path.exists()
