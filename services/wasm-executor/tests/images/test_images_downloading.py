"""Downloads that break, and downloads that meet: what is there is kept, and fetched once.

The peer is a real HTTP server whose answers the test writes; the pull is the real job process.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from scripted_registry import OCI, WASM, Peer, cut, failure, in_turn, manifest, reply

from wasm_executor.images.jobs import Pulled, PullLimits
from wasm_executor.images.layers.manifest import digest_of
from wasm_executor.images.store import ContentStore

type Pull = Callable[..., Any]


async def test_a_layer_goes_on_where_its_connection_broke(peer: Peer, pull: Pull) -> None:
    """The rest is asked for, and the whole is verified."""
    layer = bytes(range(256)) * 1024
    ranges: list[str | None] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        ranges.append(request.headers["Range"])
        start = int((request.headers["Range"] or "bytes=0-")[6:-1])
        request.send_response(206 if start else 200)
        request.send_header("Content-Range", f"bytes {start}-{len(layer) - 1}/{len(layer)}")
        request.send_header("Content-Length", str(len(layer) - start))
        request.end_headers()
        request.wfile.write(layer[start : start + 100_000])
        request.close_connection = True

    peer.manifest, peer.blob = reply(200, manifest(layer), Content_Type=OCI), answer
    result = await pull(f"{peer.host}/app:v1")
    assert isinstance(result, Pulled)
    assert ranges == [None, "bytes=100000-", "bytes=200000-"]


@pytest.mark.parametrize("how", ["ignores", "refuses", "lies"])
async def test_a_registry_without_ranges_is_asked_for_the_whole_again(
    peer: Peer, pull: Pull, how: str
) -> None:
    def refuse(request: BaseHTTPRequestHandler) -> None:
        status, headers = (416, {}) if how == "refuses" else (206, {"Content_Range": "bytes 0-9/9"})
        reply(status, WASM, **headers)(request)

    rest = [] if how == "ignores" else [refuse]
    peer.blob = in_turn(cut, *rest, reply(200, WASM))
    result = await pull(f"{peer.host}/app:v1")
    if how == "lies":
        assert "206 Partial Content" in failure(result, peer.host)
    else:
        assert isinstance(result, Pulled)


def openers_of(path: Path) -> int:
    """How many processes have a file open."""
    return len({fd.parts[2] for fd in Path("/proc").glob("[0-9]*/fd/*") if _leads_to(fd, path)})


def _leads_to(descriptor: Path, path: Path) -> bool:
    try:
        return descriptor.readlink() == path
    except OSError:
        return False


async def test_two_names_of_one_layer_download_it_once(
    peer: Peer, pull: Pull, store: ContentStore
) -> None:
    turn, begun = store.turn_path(digest_of(WASM)), threading.Event()

    def slow(request: BaseHTTPRequestHandler) -> None:
        """Answer when the second pull waits for its turn, or asks for the layer, too."""
        begun.set()
        ends_at = time.monotonic() + 10
        while openers_of(turn) < 2 and len(peer.seen("/blobs/")) < 2:
            assert time.monotonic() < ends_at
            time.sleep(0.02)
        reply(200, WASM)(request)

    peer.blob = slow
    limits = PullLimits(stall_timeout_s=15.0)
    async with asyncio.TaskGroup() as tasks:
        one = tasks.create_task(pull(f"{peer.host}/app:v1", limits=limits))
        assert await asyncio.to_thread(begun.wait, 10.0)
        two = tasks.create_task(pull(f"{peer.host}/app:v2", limits=limits))
    assert isinstance(one.result(), Pulled)
    assert isinstance(two.result(), Pulled)
    assert len(peer.seen("/blobs/")) == 1


async def test_a_turn_ends_with_the_process_that_has_it(
    peer: Peer, pull: Pull, store: ContentStore
) -> None:
    turn, asked = store.turn_path(digest_of(WASM)), threading.Event()

    def manifests(request: BaseHTTPRequestHandler) -> None:
        if request.path.endswith("/v2"):
            asked.set()
        reply(200, manifest(), Content_Type=OCI)(request)

    peer.manifest = manifests
    script = f"import fcntl; f = open({str(turn)!r}, 'w'); fcntl.flock(f, 2); print(1); input()"
    pipe = asyncio.subprocess.PIPE
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-uc", script, stdin=pipe, stdout=pipe
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"1\n"
    limits = PullLimits(total_timeout_s=1.0)
    text = failure(await pull(f"{peer.host}/app:v1", limits=limits), peer.host)
    async with asyncio.TaskGroup() as tasks:
        waits = tasks.create_task(pull(f"{peer.host}/app:v2"))
        assert await asyncio.to_thread(asked.wait, 10.0)
        holder.kill()
    await holder.wait()
    assert text.endswith("another pull of it takes too long")
    assert isinstance(waits.result(), Pulled)
    assert not turn.exists()
