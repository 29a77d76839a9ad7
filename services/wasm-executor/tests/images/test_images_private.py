"""Private images of a real registry, in TLS and with a login: who gets them, and who does not."""

import base64
import json
import ssl
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from wasmtime import wat2wasm

from contract.messages.pull import PullKey, PullPolicy
from controlplane.registry import Registry
from wasm_executor.images.errors import ImageError
from wasm_executor.images.keyring import NO_KEYS, Keyring
from wasm_executor.images.layers.manifest import digest_of
from wasm_executor.images.policy import ImageEvent
from wasm_executor.images.puller import ImageService

IF_NOT_PRESENT, ALWAYS, NEVER = PullPolicy.IF_NOT_PRESENT, PullPolicy.ALWAYS, PullPolicy.NEVER
OCI = "application/vnd.oci.image.manifest.v1+json"
MODULE = bytes(wat2wasm('(module (func (export "_start")))'))

type OpenImages = Callable[..., AbstractAsyncContextManager[ImageService]]


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("private"), tls=True, login=True) as running:
        put(running, "app", MODULE)
        yield running


def put(registry: Registry, name: str, module: bytes) -> None:
    config = b"{}"
    for blob in (config, module):
        with send(registry, "POST", f"/v2/{name}/blobs/uploads/") as answer:
            place = answer.headers["Location"]
        send(registry, "PUT", f"{place}&digest={digest_of(blob)}", blob).close()
    described = [{"digest": digest_of(each), "size": len(each)} for each in (config, module)]
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": {**described[0], "mediaType": "application/vnd.wasm.config.v0+json"},
        "layers": [{**described[1], "mediaType": "application/wasm"}],
    }
    send(registry, "PUT", f"/v2/{name}/manifests/v1", json.dumps(manifest).encode(), OCI).close()


def send(registry: Registry, method: str, path: str, body: bytes = b"", kind: str = "x/y") -> Any:
    assert registry.login is not None
    pair = base64.b64encode(":".join(registry.login).encode()).decode()
    url = path if path.startswith("https:") else f"{registry.url}{path}"
    headers = {"Authorization": f"Basic {pair}", "Content-Type": kind}
    asked = urllib.request.Request(url, body, headers, method=method)  # noqa: S310  # ours
    context = ssl.create_default_context(cafile=str(registry.authority))
    return urllib.request.urlopen(asked, context=context)  # noqa: S310  # ours


@pytest.fixture
async def images(private: Registry, open_images: OpenImages) -> AsyncIterator[ImageService]:
    async with open_images(ca_file=private.authority) as opened:
        yield opened


def key(registry: Registry, password: str = "", name: str = "s") -> PullKey:
    assert registry.login is not None
    username, right = registry.login
    return PullKey(
        location=registry.host,
        username=username,
        password=password or right,
        secret_name=name,
        secret_uid=f"uid-{name}",
    )


def ring(*keys: PullKey, namespace: str = "a") -> Keyring:
    return Keyring(namespace=namespace, keys=keys)


async def refused(images: ImageService, image: str, policy: PullPolicy, keyring: Keyring) -> str:
    with pytest.raises(ImageError) as caught:
        await images.ensure(image, policy, keyring=keyring)
    return f"{caught.value.reason}: {caught.value.message}"


async def test_a_login_is_needed_and_each_that_matches_is_tried(
    private: Registry, images: ImageService
) -> None:
    image = f"{private.host}/app:v1"
    nobody = await refused(images, image, IF_NOT_PRESENT, NO_KEYS)
    assert nobody.startswith("ErrImagePull: failed to pull and unpack image ")
    assert "pull access denied" in nobody
    assert nobody.endswith(
        "401 Unauthorized (no image pull secret of the pod is for this registry)"
    )
    wrong = key(private, "guess", "wrong")
    guessed = await refused(images, image, IF_NOT_PRESENT, ring(wrong))
    assert guessed.endswith("(the registry does not accept the pod's image pull secrets for it)")
    prepared = await images.ensure(image, IF_NOT_PRESENT, keyring=ring(wrong, key(private)))
    assert prepared.pulled
    missing = await refused(images, f"{private.host}/no:v1", IF_NOT_PRESENT, ring(key(private)))
    assert missing.endswith(f"{private.host}/no:v1: not found")


async def test_a_cached_private_image_is_for_those_who_may_pull_it(
    private: Registry, images: ImageService
) -> None:
    image = f"{private.host}/app:v1"
    own = ring(key(private))
    pulled = await images.ensure(image, IF_NOT_PRESENT, keyring=own)
    for keyring in (NO_KEYS, ring(key(private, "guess", "wrong"), namespace="b")):
        for policy in (IF_NOT_PRESENT, ALWAYS):
            assert "pull access denied" in await refused(images, image, policy, keyring)
        assert await refused(images, image, NEVER, keyring) == (
            f'ErrImageNeverPull: Container image "{image}" is not present with pull policy of Never'
        )
        by_digest = await refused(images, pulled.image_id, IF_NOT_PRESENT, keyring)
        assert "pull access denied" in by_digest
    assert not (await images.ensure(image, NEVER, keyring=own)).pulled
    assert not (await images.ensure(image, NEVER, keyring=None)).pulled, "it runs already"


async def test_another_pods_right_credentials_are_checked_once_and_then_known(
    private: Registry, images: ImageService
) -> None:
    image = f"{private.host}/app:v1"
    assert private.login is not None
    first = key(private)
    await images.ensure(image, IF_NOT_PRESENT, keyring=ring(first))
    # As good, and yet of other content: an identity token that a registry with a login ignores.
    other = PullKey(
        location=private.host,
        username=first.username,
        password=first.password,
        identity_token="none",
        secret_name="other",
        secret_uid="2",
    )
    keyring = ring(other, namespace="b")
    seen: list[ImageEvent] = []
    checked = await images.ensure(image, IF_NOT_PRESENT, keyring=keyring, on_event=seen.append)
    assert checked.pulled
    assert [each.reason for each in seen] == ["Pulling", "Pulled"]
    assert not (await images.ensure(image, IF_NOT_PRESENT, keyring=keyring)).pulled


async def test_secrets_that_cannot_be_read_keep_a_private_image_from_their_pod(
    private: Registry, images: ImageService
) -> None:
    image = f"{private.host}/app:v1"
    broken = Keyring(namespace="a", problem='image pull secret "x" cannot be read: no JSON')
    wanted = f"ErrImagePull: {broken.problem}"
    assert await refused(images, image, IF_NOT_PRESENT, broken) == wanted
    await images.ensure(image, IF_NOT_PRESENT, keyring=ring(key(private)))
    assert await refused(images, image, IF_NOT_PRESENT, broken) == wanted
