"""Registries that lie about content, or stall: each ends in its own words, and leaves nothing.

The peer is a real HTTP server whose answers the test writes; the pull is the real job process.
"""

import os
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from scripted_registry import (
    DAMAGED,
    LIMITS,
    OCI,
    WASM,
    Peer,
    cut,
    failure,
    files_of,
    in_turn,
    manifest,
    reply,
)

from wasm_executor.images.jobrunner import PULL, JobRunner
from wasm_executor.images.jobs import Pulled, PullJob, PullLimits
from wasm_executor.images.layers.manifest import digest_of
from wasm_executor.images.store import ContentStore

type Pull = Callable[..., Any]


async def test_an_honest_peer_is_pulled_from(peer: Peer, pull: Pull, store: ContentStore) -> None:
    result = await pull(f"{peer.host}/app:v1")
    assert isinstance(result, Pulled)
    assert result.image.manifest_digest == digest_of(manifest())
    assert store.blob_path(digest_of(WASM)).read_bytes() == WASM
    assert result.downloaded_bytes == len(WASM)


async def test_a_layer_may_come_in_chunks_of_unknown_number(peer: Peer, pull: Pull) -> None:
    def chunked(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for start in range(0, len(WASM), 50):
            chunk = WASM[start : start + 50]
            request.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        request.wfile.write(b"0\r\n\r\n")

    peer.blob = chunked
    assert isinstance(await pull(f"{peer.host}/app:v1"), Pulled)


async def test_a_layer_with_other_content_is_thrown_away(
    peer: Peer, pull: Pull, store: ContentStore
) -> None:
    forged = WASM[:-1] + b"!"
    peer.blob = reply(200, forged)
    wanted = digest_of(WASM)
    assert failure(await pull(f"{peer.host}/app:v1"), peer.host) == (
        f'failed commit on ref "layer-{wanted}": unexpected commit digest {digest_of(forged)}, '
        f"expected {wanted}: {DAMAGED}"
    )
    assert files_of(store) == [digest_of(manifest()).removeprefix("sha256:")]


async def test_an_endless_layer_is_cut_at_its_declared_size(
    peer: Peer, pull: Pull, store: ContentStore
) -> None:
    written = 0

    def endless(request: BaseHTTPRequestHandler) -> None:
        nonlocal written
        request.send_response(200)
        request.send_header("Connection", "close")
        request.end_headers()
        while not peer.closed.is_set():
            written += request.wfile.write(bytes(1 << 16))

    peer.blob = endless
    assert (
        f"unexpected commit size more than {len(WASM)}, expected {len(WASM)}: {DAMAGED}"
    ) in failure(await pull(f"{peer.host}/app:v1"), peer.host)
    assert written < 64 << 20
    assert len(files_of(store)) == 1


async def test_a_short_layer_names_both_sizes(peer: Peer, pull: Pull) -> None:
    peer.blob = reply(200, WASM[:10])
    assert f"unexpected commit size 10, expected {len(WASM)}" in failure(
        await pull(f"{peer.host}/app:v1"), peer.host
    )


async def test_a_broken_connection_is_tried_again_and_no_more_than_allowed(
    peer: Peer, pull: Pull
) -> None:
    peer.blob = cut
    assert failure(await pull(f"{peer.host}/app:v1"), peer.host) == "failed to copy: unexpected EOF"
    assert len(peer.seen("/blobs/")) == LIMITS.attempts


async def test_a_connection_that_breaks_once_does_not_fail_the_pull(peer: Peer, pull: Pull) -> None:
    peer.blob = in_turn(cut, reply(200, WASM))
    assert isinstance(await pull(f"{peer.host}/app:v1"), Pulled)


async def test_a_stalling_layer_ends_by_the_stall_timeout(
    peer: Peer, pull: Pull, store: ContentStore
) -> None:
    def stall(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(WASM)))
        request.end_headers()
        request.wfile.write(WASM[:100])
        peer.closed.wait()

    peer.blob = stall
    assert failure(await pull(f"{peer.host}/app:v1"), peer.host) == (
        f"failed to copy: layer {digest_of(WASM)}: no progress for 0.6s at byte 100"
    )
    assert len(peer.seen("/blobs/")) == 1
    assert len(files_of(store)) == 1


async def test_a_trickling_layer_counts_as_stalled(peer: Peer, pull: Pull) -> None:
    large = bytes(100_000)

    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(large)))
        request.end_headers()
        while not peer.closed.wait(0.05):
            request.wfile.write(b"\0")
            request.wfile.flush()

    peer.manifest = reply(200, manifest(large), Content_Type=OCI)
    peer.blob = trickle
    assert "no progress for 0.6s" in failure(await pull(f"{peer.host}/app:v1"), peer.host)


async def test_the_whole_pull_has_an_end_even_if_the_registry_keeps_it_hoping(
    peer: Peer, pull: Pull
) -> None:
    large = bytes(1 << 20)

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(large)))
        request.end_headers()
        while not peer.closed.wait(0.02):
            request.wfile.write(bytes(500))
            request.wfile.flush()

    peer.manifest = reply(200, manifest(large), Content_Type=OCI)
    peer.blob = drip
    limits = PullLimits(total_timeout_s=1.0, stall_timeout_s=0.5, stall_bytes=100)
    text = failure(await pull(f"{peer.host}/app:v1", limits=limits), peer.host)
    assert text.endswith("is not complete after 1s")


async def test_a_manifest_asked_for_by_digest_must_have_it(peer: Peer, pull: Pull) -> None:
    asked = "sha256:" + "0" * 64
    found = digest_of(manifest())
    text = failure(await pull(f"{peer.host}/app@{asked}"), peer.host, f"@{asked}")
    assert text == (
        f'failed commit on ref "manifest-{asked}": unexpected commit digest {found}, '
        f"expected {asked}: {DAMAGED}"
    )


async def test_a_manifest_must_have_the_digest_that_came_along(peer: Peer, pull: Pull) -> None:
    said = "sha256:" + "0" * 64
    peer.manifest = reply(200, manifest(), Docker_Content_Digest=said)
    text = failure(await pull(f"{peer.host}/app:v1"), peer.host)
    assert f"expected {said}: {DAMAGED}" in text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>hello</html>", "failed to unmarshal manifest"),
        (manifest(mediaType="application/vnd.example.rpm"), "unsupported media"),
        (manifest(digest="sha256:../../../etc/passwd"), "invalid checksum digest format"),
        (manifest(size=1 << 40), "the limit is 1073741824"),
        (b" " * (5 << 20), "the manifest is larger than 4194304 bytes"),
    ],
)
async def test_a_bad_manifest_says_what_is_wrong_with_it(
    peer: Peer, pull: Pull, store: ContentStore, body: bytes, words: str
) -> None:
    peer.manifest = reply(200, body)
    assert words in failure(await pull(f"{peer.host}/app:v1"), peer.host)
    assert not list((store.root / "names").iterdir())


async def test_a_full_disk_is_told_and_leaves_no_part_of_a_layer(
    peer: Peer, small_disk: ContentStore
) -> None:
    layer = bytes(1 << 20)
    peer.manifest, peer.blob = reply(200, manifest(layer), Content_Type=OCI), reply(200, layer)
    job = PullJob(
        reference=f"{peer.host}/app:v1",
        store=str(small_disk.root),
        parent_pid=os.getpid(),
        insecure_registries=(peer.host,),
        limits=LIMITS,
    )
    text = failure(await JobRunner(small_disk).run(PULL, job, timeout_s=30.0), peer.host)
    assert text == (
        "failed to copy: write: no space left on device: "
        "the disk of the node's data directory is full"
    )
    assert files_of(small_disk) == [digest_of(manifest(layer)).removeprefix("sha256:")]
