"""Manifests and files: what is refused before it is fetched or compiled, and how it is said."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasm_executor.images.errors import CompileError
from wasm_executor.images.layers.manifest import (
    FILE_LAYERS,
    WASM_LAYERS,
    Index,
    Manifest,
    ManifestError,
    Parts,
    parse_manifest,
    parts_of,
)
from wasm_executor.images.layers.platforms import chosen
from wasm_executor.images.records import ArtifactKind
from wasm_executor.images.wasmfile import check_wasm

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DIGEST = "sha256:" + "a" * 64
HEADER = b"\0asm\x01\0\0\0"


def layer(media_type: str = "application/wasm", **changes: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": DIGEST, "size": 8, **changes}


def manifest(*layers: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": OCI, "layers": layers, **changes}).encode()


def parts(content: bytes, content_type: str = OCI) -> Parts:
    document = parse_manifest(content, content_type)
    assert isinstance(document, Manifest)
    return parts_of(document)


@pytest.mark.parametrize("media_type", WASM_LAYERS)
def test_the_one_wasm_layer_is_found(media_type: str) -> None:
    found = parts(manifest(layer(media_type))).module
    assert found is not None
    assert (found.media_type, found.digest, found.size) == (media_type, DIGEST, 8)


@pytest.mark.parametrize("media_type", FILE_LAYERS)
def test_layers_of_files_stay_in_their_order(media_type: str) -> None:
    first, second = layer(media_type, size=1), layer(media_type, size=2)
    found = parts(manifest(first, second))
    assert found.module is None
    assert [each.size for each in found.files] == [1, 2]


def test_a_module_may_have_files_beside_it() -> None:
    found = parts(manifest(layer(FILE_LAYERS[0]), layer(size=9)))
    assert found.module is not None
    assert (found.module.size, len(found.files)) == (9, 1)


def index(*platforms: str | None, **changes: Any) -> Index:
    entries = []
    for number, each in enumerate(platforms):
        named = None
        if each is not None:
            os_name, _, architecture = each.partition("/")
            named = {"os": os_name, "architecture": architecture}
        entries.append({**layer(OCI, size=number), "platform": named, **changes})
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    found = parse_manifest(json.dumps(document).encode(), "")
    assert isinstance(found, Index)
    return found


@pytest.mark.parametrize(
    ("platforms", "number"),
    [
        (("linux/wasm32", "wasip2/wasm", "wasip1/wasm", "wasi/wasm"), 3),
        (("linux/wasm32", "wasip2/wasm", "wasip1/wasm"), 2),
        (("linux/amd64", "linux/wasm32", "wasip2/wasm"), 2),
        (("linux/amd64", "linux/wasm32"), 1),
        (("linux/wasm32", "wasm/wasip2", "wasi/wasm32"), 2),
        (("linux/wasm32", "wasm/wasip2"), 1),
        ((None,), 0),
    ],
)
def test_the_best_platform_of_an_index_is_taken(
    platforms: tuple[str | None, ...], number: int
) -> None:
    assert chosen(index(*platforms), mount=False).size == number


def test_an_index_without_webassembly_says_what_it_has() -> None:
    with pytest.raises(ManifestError) as caught:
        chosen(index("linux/arm64", "linux/amd64", "unknown/unknown", None, None), mount=False)
    assert str(caught.value) == (
        "no match for platform in manifest: the index has only linux/amd64, linux/arm64, "
        "want wasi/wasm or wasip1/wasm or wasip2/wasm or linux/wasm32"
    )


def test_a_volume_may_be_of_this_machines_own_platform() -> None:
    both = index("linux/amd64", "linux/arm64", "windows/amd64")
    assert chosen(both, mount=True).size in (0, 1)
    assert chosen(index("linux/amd64", "linux/arm64", "wasi/wasm"), mount=True).size == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>", "failed to unmarshal manifest"),
        (b"", "failed to unmarshal manifest"),
        (b"\xff\xfe", "failed to unmarshal manifest"),
        (b"[1]", "failed to unmarshal manifest"),
        (manifest(), "the manifest has no layers"),
        (manifest(layer(), layer()), "has 2 WebAssembly layers, want one"),
        (manifest(layer(digest="sha256:../../etc")), "invalid checksum digest format"),
        (manifest(layer(digest="sha256:abc")), "invalid checksum digest length"),
        (manifest(layer(size=-1)), "invalid size -1"),
        (manifest(layer(size="8")), "failed to unmarshal manifest"),
        (
            manifest(layer("application/vnd.wasm.content.layer.v1+data")),
            'unsupported media type "application/vnd.wasm.content.layer.v1+data"',
        ),
        (manifest(*[layer()] * 129), "the manifest has 129 layers, the limit is 128"),
        (manifest(layer(), config=layer(digest="sha256:x")), "config digest 'sha256:x'"),
        (json.dumps({"schemaVersion": 1, "fsLayers": []}).encode(), "schema version 1"),
    ],
)
def test_a_manifest_without_a_module_says_what_it_is_instead(content: bytes, words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parts(content, "application/json" if b"Version" not in content else "")
    assert words in str(caught.value)


def test_the_header_names_the_type_where_the_document_does_not() -> None:
    content = json.dumps({"schemaVersion": 2}).encode()
    named = "application/vnd.docker.distribution.manifest.list.v2+json"
    assert isinstance(parse_manifest(content, named), Index)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_break_the_manifest_parser(content: bytes) -> None:
    with pytest.raises(ManifestError):
        parse_manifest(content, OCI)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(HEADER, ArtifactKind.MODULE), (b"\0asm\x0d\0\x01\0", ArtifactKind.COMPONENT)],
)
def test_the_header_tells_module_from_component(content: bytes, kind: ArtifactKind) -> None:
    assert check_wasm(content) is kind


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"#!/bin/sh\n", "not WebAssembly: the file begins with 23 21 2f 62"),
        (b"#!/bin/sh\n", ": it is a script"),
        (b"\x7fELF\x02\x01\x01\0", ": it is a program for Linux"),
        (b"\0as", "truncated: the file ends after 3 bytes"),
        (HEADER[:6], "truncated: the file ends after 6 bytes"),
        (b"\0asm\x02\0\0\0", "unknown WebAssembly version 02 00 00 00"),
        (HEADER + b"\x01", "ends inside the size of a section"),
        (HEADER + b"\x01\x7fabc", "section at byte 8 is 127 bytes long, and 124 of them"),
        (HEADER + b"\x01\xff\xff\xff\xff\xff\x01", "has no end"),
    ],
)
def test_half_a_file_is_called_half_a_file(content: bytes, words: str) -> None:
    with pytest.raises(CompileError) as caught:
        check_wasm(content)
    assert words in caught.value.message


@given(st.binary(max_size=64))
def test_no_bytes_at_all_break_the_header_check(content: bytes) -> None:
    with suppress(CompileError):
        assert check_wasm(HEADER + content) is ArtifactKind.MODULE
