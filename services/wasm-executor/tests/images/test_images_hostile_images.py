"""Images that mean harm, pulled by the real job: each ends in its own words, and leaves no folder.

The peer is a real HTTP server that has one blob for each digest, and says what a test wants.
"""

import asyncio
import errno
import json
import os
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import msgspec
import pytest
from layers import (
    OCI,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    Entry,
    Image,
    described,
    digest,
    gzipped,
    image,
    index,
    layer,
    zstandard,
)
from scripted_registry import LIMITS, Peer, failure, reply

from wasm_executor.images import store as storing
from wasm_executor.images.jobrunner import JobCrashedError, JobRunner
from wasm_executor.images.jobs import EngineJob, Pulled
from wasm_executor.images.store import ContentStore

type Pull = Callable[..., Any]

SMALL = msgspec.structs.replace(LIMITS, max_rootfs_bytes=1 << 20, max_rootfs_entries=50)
FILES = layer(Entry("app.wasm", b"\0asm\x01\0\0\0"))


def serve(peer: Peer, first: bytes, media_type: str, *others: bytes) -> None:
    """Answer the name with one document, and each digest with its content."""
    contents = {digest(each): each for each in (first, *others)}

    def answer(request: BaseHTTPRequestHandler) -> None:
        wanted = request.path.rpartition("/")[2]
        content = contents.get(wanted, first if "/manifests/" in request.path else None)
        if content is None:
            reply(404)(request)
            return
        is_index = content.startswith(b"{") and b'"manifests"' in content
        named = OCI_INDEX if is_index else media_type
        reply(200, content, Content_Type=named)(request)

    peer.manifest = peer.blob = answer


def served(peer: Peer, made: Image) -> None:
    serve(peer, made.manifest, OCI, *made.blobs.values())


def nested(depth: int, inner: Image) -> list[bytes]:
    """Wrap an image in so many indexes; the outermost comes first."""
    documents = [index(wasi_wasm=inner)]
    for _ in range(depth - 1):
        entry = described(documents[0], OCI_INDEX)
        documents.insert(0, json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
    return documents


def manifest_of(*layers: dict[str, Any], **more: Any) -> Image:
    document = {"schemaVersion": 2, "mediaType": OCI, "layers": layers, **more}
    return Image(json.dumps(document).encode(), {}, OCI)


def with_config(config: bytes, **claimed: Any) -> Image:
    packed = gzipped(FILES)
    made = manifest_of(
        described(packed, OCI_LAYER),
        config={**described(config, OCI_CONFIG), **claimed},
    )
    return made._replace(blobs={digest(each): each for each in (packed, config)})


HOSTILE: dict[str, tuple[Image, str]] = {
    "a gzip bomb": (image(layer(Entry("b", bytes(64 << 20)))), "unpacks to more than 1048576"),
    "a zstd bomb": (
        image(layer(Entry("b", bytes(64 << 20))), packed=zstandard),
        "unpacks to more than 1048576",
    ),
    "a path that leads out": (image(layer(Entry("../x", b""))), "leads out of the image"),
    "a crowd": (image(layer(*(Entry(f"f{n}") for n in range(51)))), "more than 50 files"),
    "headers without end": (
        image(layer(Entry("x" * (1 << 20), b""))),
        "more than 1048576 bytes",
    ),
    "another content than the config says": (
        with_config(json.dumps({"rootfs": {"diff_ids": [digest(b"other")]}}).encode()),
        "wrong diff id calculated on extraction",
    ),
    "fewer layers than the config says": (
        with_config(json.dumps({"rootfs": {"diff_ids": [digest(FILES)] * 2}}).encode()),
        "mismatched image rootfs and manifest layers",
    ),
    "a config that is none": (with_config(b"[]"), "failed to unmarshal image config"),
    "a huge config": (with_config(b"{}", size=1 << 30), "the config is larger than 4194304"),
    "a layer that is none": (
        manifest_of(described(b"", "application/vnd.oci.image.layer.v1.tar+gzip", size=1 << 40)),
        "has 1099511627776 bytes, the limit is",
    ),
}


@pytest.mark.parametrize(("made", "words"), HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_image_is_refused_and_leaves_no_folder(
    made: Image, words: str, peer: Peer, pull: Pull, store: ContentStore
) -> None:
    served(peer, made)
    assert words in failure(await pull(f"{peer.host}/app:v1", limits=SMALL), peer.host)
    assert folders_of(store) == []


async def test_indexes_end_after_four(peer: Peer, pull: Pull) -> None:
    inner = image(FILES)
    blobs = (inner.manifest, *inner.blobs.values())
    first, *others = nested(4, inner)
    serve(peer, first, OCI, *others, *blobs)
    assert isinstance(await pull(f"{peer.host}/app:v1"), Pulled)
    first, *others = nested(5, inner)
    serve(peer, first, OCI, *others, *blobs)
    text = failure(await pull(f"{peer.host}/app:v2"), peer.host, ":v2")
    assert text == "more than 4 indexes lie in one another"


async def test_an_index_that_names_itself_is_not_what_its_digest_says(
    peer: Peer, pull: Pull
) -> None:
    claimed = {**described(b"x", OCI_INDEX), "platform": {"os": "wasi", "architecture": "wasm"}}
    ring = json.dumps({"schemaVersion": 2, "manifests": [claimed]}).encode()
    peer.manifest = reply(200, ring, Content_Type=OCI_INDEX)
    assert "unexpected commit digest" in failure(await pull(f"{peer.host}/app:v1"), peer.host)


async def test_a_disk_that_is_full_is_told_and_nothing_half_stays(
    peer: Peer, pull: Pull, small_disk: ContentStore
) -> None:
    served(peer, image(layer(Entry("big", bytes(1 << 20)))))
    text = failure(await pull(f"{peer.host}/app:v1", store=str(small_disk.root)), peer.host)
    assert text == (
        "cannot be stored: no space left on device: the disk of the node's data directory is full"
    )
    assert folders_of(small_disk) == []


def test_what_a_killed_job_had_half_unpacked_is_removed(store: ContentStore) -> None:
    half = store.root / "partial" / "4711-half" / "usr"
    half.mkdir(parents=True)
    (half / "f").write_text("x")
    (store.root / "partial" / "4712-other").write_text("y")
    store.remove_taken(store.take_partials_of(4711))
    assert [each.name for each in (store.root / "partial").iterdir()] == ["4712-other"]
    store.prepare()
    assert list((store.root / "partial").iterdir()) == []


async def test_no_job_waits_for_the_removal_of_what_it_left(
    store: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been about to unpack an image of many thousand files; others have theirs."""
    half = store.root / "partial" / "half"
    half.touch()
    remove, went_on, removed = storing._remove, threading.Event(), threading.Event()

    def remove_slowly(path: Path) -> None:
        went_on.wait(20)
        remove(path)
        removed.set()

    monkeypatch.setattr(storing, "_remove", remove_slowly)
    monkeypatch.setattr(store, "take_partials_of", lambda _pid: [half])
    job = EngineJob(parent_pid=os.getpid())
    with pytest.raises(JobCrashedError):
        await JobRunner(store).run("no_such_module", job, timeout_s=60)
    assert half.exists()
    went_on.set()
    assert await asyncio.to_thread(removed.wait, 20)
    assert not half.exists()


async def test_a_disk_that_lets_nothing_be_moved_hides_no_error_of_a_job(
    store: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_path: Path, _target: Path) -> Path:
        raise OSError(errno.ENOSPC, "no space left on device")

    left = store.root / "partial" / "4711-half"
    left.touch()
    monkeypatch.setattr(Path, "rename", refused)
    take = store.take_partials_of
    monkeypatch.setattr(store, "take_partials_of", lambda _pid: take(4711))
    with pytest.raises(JobCrashedError, match="no_such_module"):
        await JobRunner(store).run(
            "no_such_module", EngineJob(parent_pid=os.getpid()), timeout_s=60
        )
    assert left.exists()


def folders_of(store: ContentStore) -> list[Path]:
    return [*(store.root / "rootfs").iterdir(), *(store.root / "partial").iterdir()]
