"""Registries that lie, stall, refuse or redirect: each ends in its own words, and leaves nothing.

The peer is a real HTTP server whose answers the test writes; the pull is the real job process.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from wasm_executor.images.jobrunner import PULL, JobCrashedError, JobRunner
from wasm_executor.images.jobs import Credentials, JobFailed, JobResult, Pulled, PullJob, PullLimits
from wasm_executor.images.manifest import digest_of
from wasm_executor.images.store import ContentStore

WASM = b"\0asm\x01\0\0\0" + bytes(range(200))
OCI = "application/vnd.oci.image.manifest.v1+json"
LIMITS = PullLimits(
    connect_timeout_s=5.0, stall_timeout_s=0.6, total_timeout_s=8.0, attempts=3, retry_delay_s=0.05
)

type Answer = Callable[[BaseHTTPRequestHandler], None]


def manifest(layer: bytes = WASM, **changes: Any) -> bytes:
    described = {"mediaType": "application/wasm", "digest": digest_of(layer), "size": len(layer)}
    document = {"schemaVersion": 2, "mediaType": OCI, "layers": [{**described, **changes}]}
    return json.dumps(document).encode()


def reply(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Answer whole; header names are written with underscores."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        sent = {"Content-Length": str(len(body))}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        for name, value in sent.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Give each answer once, in this order."""
    left = iter(answers)

    def answer(request: BaseHTTPRequestHandler) -> None:
        next(left)(request)

    return answer


class Peer:
    """A registry of one repository, `app`. An answer can be replaced, for ever or in turns."""

    def __init__(self) -> None:
        peer = self
        self.requests: list[tuple[str, str, str | None]] = []
        self.closed = threading.Event()
        self.manifest: Answer = reply(200, manifest(), Content_Type=OCI)
        self.blob: Answer = reply(200, WASM)
        self.token: Answer = reply(404)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                peer.requests.append((self.command, self.path, self.headers["Authorization"]))
                with suppress(BrokenPipeError, ConnectionResetError):
                    peer.answer_to(self.path)(self)

            do_HEAD = do_GET  # noqa: N815  # the name that http.server looks for

            def log_message(self, *_: object) -> None:
                """Be silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> "Peer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer_to(self, path: str) -> Answer:
        if "/manifests/" in path:
            return self.manifest
        return self.blob if "/blobs/" in path else self.token

    def seen(self, part: str, method: str = "GET") -> list[str | None]:
        """The Authorization headers of the requests for such a path."""
        return [auth for verb, path, auth in self.requests if part in path and verb == method]


@pytest.fixture
def open_peer() -> Iterator[Callable[[], Peer]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(Peer())


@pytest.fixture
def peer(open_peer: Callable[[], Peer]) -> Peer:
    return open_peer()


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    made = ContentStore(tmp_path / "images")
    made.prepare()
    return made


type Pull = Callable[..., Any]


@pytest.fixture
def pull(store: ContentStore) -> Pull:
    async def run(
        reference: str,
        *plain: str,
        limits: PullLimits = LIMITS,
        credentials: Credentials | None = None,
    ) -> JobResult:
        job = PullJob(
            reference=reference,
            store=str(store.root),
            parent_pid=os.getpid(),
            insecure_registries=plain or (reference.split("/", 1)[0],),
            credentials=credentials,
            limits=limits,
        )
        return await JobRunner(store).run(PULL, job, timeout_s=30.0)

    return run


def failure(result: JobResult, host: str, target: str = ":v1") -> str:
    """The part of the message that differs, after what all of them have."""
    assert isinstance(result, JobFailed)
    start = f'failed to pull and unpack image "{host}/app{target}": '
    assert result.reason == "ErrImagePull"
    assert result.message.startswith(start)
    return result.message.removeprefix(start)


def unresolved(result: JobResult, host: str, target: str = ":v1") -> str:
    start = f'failed to resolve reference "{host}/app{target}": '
    text = failure(result, host, target)
    assert text.startswith(start)
    return text.removeprefix(start)


def files_of(store: ContentStore) -> list[str]:
    return sorted(path.name for path in store.root.rglob("*") if path.is_file())


async def test_an_honest_peer_is_pulled_from(peer: Peer, pull: Pull, store: ContentStore) -> None:
    result = await pull(f"{peer.host}/app:v1")
    assert isinstance(result, Pulled)
    assert result.image.manifest_digest == digest_of(manifest())
    assert store.blob_path(digest_of(WASM)).read_bytes() == WASM
    assert result.downloaded_bytes == len(WASM)


async def test_a_layer_with_other_content_is_thrown_away(
    peer: Peer, pull: Pull, store: ContentStore
) -> None:
    forged = WASM[:-1] + b"!"
    peer.blob = reply(200, forged)
    wanted = digest_of(WASM)
    assert failure(await pull(f"{peer.host}/app:v1"), peer.host) == (
        f'failed commit on ref "layer-{wanted}": unexpected commit digest {digest_of(forged)}, '
        f"expected {wanted}: failed precondition"
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
        f"unexpected commit size more than {len(WASM)}, expected {len(WASM)}: failed precondition"
    ) in failure(await pull(f"{peer.host}/app:v1"), peer.host)
    assert written < 64 << 20
    assert len(files_of(store)) == 1


async def test_a_short_layer_names_both_sizes(peer: Peer, pull: Pull) -> None:
    peer.blob = reply(200, WASM[:10])
    assert f"unexpected commit size 10, expected {len(WASM)}" in failure(
        await pull(f"{peer.host}/app:v1"), peer.host
    )


def cut(request: BaseHTTPRequestHandler) -> None:
    """Promise the layer, send half of it, and hang up."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(WASM)))
    request.end_headers()
    request.wfile.write(WASM[:100])
    request.close_connection = True


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


async def test_a_silent_registry_ends_by_the_stall_timeout(peer: Peer, pull: Pull) -> None:
    def silent(_: BaseHTTPRequestHandler) -> None:
        peer.closed.wait()

    peer.manifest = silent
    assert unresolved(await pull(f"{peer.host}/app:v1"), peer.host) == (
        f'failed to do request: Head "http://{peer.host}/v2/app/manifests/v1": '
        "timeout awaiting response headers"
    )


async def test_a_refused_connection_ends_within_seconds(pull: Pull) -> None:
    with socket.socket() as bound:  # bound and not listening: refuses
        bound.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{bound.getsockname()[1]}"
        started_at = time.monotonic()
        result = await pull(f"{host}/app:v1")
    assert time.monotonic() - started_at < 10
    assert unresolved(result, host) == (
        f'failed to do request: Head "http://{host}/v2/app/manifests/v1": '
        f"dial tcp {host}: connect: connection refused"
    )


async def test_a_missing_image_is_not_found(peer: Peer, pull: Pull) -> None:
    peer.manifest = reply(404)
    result = await pull(f"{peer.host}/app:v1")
    assert unresolved(result, peer.host) == f"{peer.host}/app:v1: not found"


@pytest.mark.parametrize(("status", "words"), [(401, "Unauthorized"), (403, "Forbidden")])
async def test_denied_access_says_so(peer: Peer, pull: Pull, status: int, words: str) -> None:
    peer.manifest = reply(status)
    assert unresolved(await pull(f"{peer.host}/app:v1"), peer.host) == (
        "pull access denied, repository does not exist or may require authorization: "
        "authorization failed: unexpected status from HEAD request to "
        f"http://{peer.host}/v2/app/manifests/v1: {status} {words}"
    )


async def test_a_failing_registry_is_named_with_its_status(peer: Peer, pull: Pull) -> None:
    peer.manifest = reply(500)
    assert "unexpected status from GET request" in unresolved(
        await pull(f"{peer.host}/app:v1"), peer.host
    )


async def test_a_missing_layer_is_named(peer: Peer, pull: Pull) -> None:
    peer.blob = reply(404)
    text = failure(await pull(f"{peer.host}/app:v1"), peer.host)
    url = f"http://{peer.host}/v2/app/blobs/{digest_of(WASM)}"
    assert text == f"failed to copy: content at {url} not found"


@pytest.mark.parametrize("status", [429, 502, 503])
async def test_a_busy_registry_is_asked_a_few_times_and_called_unavailable(
    peer: Peer, pull: Pull, status: int
) -> None:
    peer.manifest = reply(status)
    result = await pull(f"{peer.host}/app:v1")
    assert isinstance(result, JobFailed)
    assert result.reason == "RegistryUnavailable"
    assert result.message.startswith(
        f"image pull failed for {peer.host}/app:v1 because the registry is unavailable: "
    )
    assert f": {status} " in result.message
    assert len(peer.seen("/manifests/", "HEAD")) == LIMITS.attempts


async def test_a_registry_that_asks_for_an_hour_gets_the_longest_allowed_delay(
    peer: Peer, pull: Pull
) -> None:
    good = peer.manifest
    peer.manifest = in_turn(reply(429, Retry_After="3600"), good, good)
    limits = PullLimits(retry_after_limit_s=0.3, total_timeout_s=20.0)
    started_at = time.monotonic()
    assert isinstance(await pull(f"{peer.host}/app:v1", limits=limits), Pulled)
    assert 0.3 <= time.monotonic() - started_at < 15


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
        f"expected {asked}: failed precondition"
    )


async def test_a_manifest_must_have_the_digest_that_came_along(peer: Peer, pull: Pull) -> None:
    said = "sha256:" + "0" * 64
    peer.manifest = reply(200, manifest(), Docker_Content_Digest=said)
    text = failure(await pull(f"{peer.host}/app:v1"), peer.host)
    assert f"expected {said}: failed precondition" in text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>hello</html>", "failed to unmarshal manifest"),
        (manifest(mediaType="application/vnd.oci.image.layer.v1.tar+gzip"), "unsupported media"),
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


CHALLENGE = 'Bearer realm="http://{host}/token",service="reg",scope="repository:app:pull"'


def guarded(peer: Peer, answer: Answer, wanted: str, realm_host: str | None = None) -> Answer:
    """Let only requests with this Authorization header through."""
    challenge = CHALLENGE.format(host=realm_host or peer.host)

    def check(request: BaseHTTPRequestHandler) -> None:
        if request.headers["Authorization"] == wanted:
            answer(request)
        else:
            reply(401, WWW_Authenticate=challenge)(request)

    return check


async def test_a_token_is_fetched_and_shown_to_the_registry_only(
    peer: Peer, pull: Pull, open_peer: Callable[[], Peer]
) -> None:
    elsewhere = open_peer()
    peer.token = reply(200, b'{"token": "t0k3n"}', Content_Type="application/json")
    peer.manifest = guarded(peer, peer.manifest, "Bearer t0k3n")
    moved = reply(307, Location=f"http://{elsewhere.host}/v2/app/blobs/x")
    peer.blob = guarded(peer, moved, "Bearer t0k3n")
    credentials = Credentials(username="me", password="secret")
    result = await pull(f"{peer.host}/app:v1", peer.host, elsewhere.host, credentials=credentials)
    assert isinstance(result, Pulled)
    assert peer.seen("/token") == ["Basic bWU6c2VjcmV0"]
    assert "Bearer t0k3n" in peer.seen("/blobs/")
    assert elsewhere.seen("") == [None]


async def test_the_challenge_of_another_host_is_not_answered(
    peer: Peer, pull: Pull, open_peer: Callable[[], Peer]
) -> None:
    thief = open_peer()
    thief.blob = guarded(thief, thief.blob, "Bearer mine")
    peer.blob = reply(307, Location=f"http://{thief.host}/v2/app/blobs/x")
    credentials = Credentials(username="me", password="secret")
    result = await pull(f"{peer.host}/app:v1", peer.host, thief.host, credentials=credentials)
    assert "401 Unauthorized" in failure(result, peer.host)
    assert [auth for _, _, auth in thief.requests] == [None]
    assert thief.seen("/token") == []


@pytest.mark.parametrize("what", ["redirect", "token"])
async def test_plain_http_outside_the_list_gets_no_request(
    peer: Peer, pull: Pull, open_peer: Callable[[], Peer], what: str
) -> None:
    other = open_peer()
    if what == "redirect":
        peer.blob = reply(302, Location=f"http://{other.host}/v2/app/blobs/x")
    else:
        peer.manifest = guarded(peer, peer.manifest, "Bearer x", realm_host=other.host)
    text = failure(await pull(f"{peer.host}/app:v1"), peer.host)
    assert f'registry "{other.host}" is not allowed to be reached over plain HTTP' in text
    assert other.requests == []


async def test_a_circle_of_redirects_ends(peer: Peer, pull: Pull) -> None:
    peer.blob = reply(302, Location=f"http://{peer.host}/v2/app/blobs/again")
    assert "too many redirects" in failure(await pull(f"{peer.host}/app:v1"), peer.host)


async def test_a_flood_in_an_answer_nobody_wants_ends_the_job_not_the_machine(
    peer: Peer, pull: Pull
) -> None:
    """The library reads the body of a redirect whole."""

    def flood(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", f"http://{peer.host}/v2/app/blobs/x")
        request.send_header("Connection", "close")
        request.end_headers()
        while not peer.closed.is_set():
            request.wfile.write(bytes(1 << 20))

    peer.manifest = flood
    started_at = time.monotonic()
    with pytest.raises(JobCrashedError, match="MemoryError"):
        await pull(f"{peer.host}/app:v1")
    assert time.monotonic() - started_at < 20
