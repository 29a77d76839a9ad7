"""Registries that refuse, redirect, or are away: what is said, and what they never get.

The peer is a real HTTP server whose answers the test writes; the pull is the real job process.
"""

import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import requests
from scripted_registry import (
    LIMITS,
    OCI,
    WASM,
    Peer,
    failure,
    guarded,
    in_turn,
    manifest,
    reply,
    unresolved,
)

from wasm_executor.images.jobs import Credentials, JobFailed, Pulled, PullLimits
from wasm_executor.images.layers.manifest import digest_of
from wasm_executor.images.registries.transport import retry_after_s

type Pull = Callable[..., Any]


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
        f"http://{peer.host}/v2/app/manifests/v1: {status} {words} "
        "(no image pull secret of the pod is for this registry)"
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


@pytest.mark.parametrize(
    ("said", "wanted_s"),
    [
        ("2", 2.0),
        ("9" * 400, 5.0),
        ("Wed, 21 Oct 2015 07:28:03 GMT", 3.0),
        ("Wed, 21 Oct 2015 09:28:00 GMT", 5.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("soon", 0.0),
        ("-1", 0.0),
        ("", 0.0),
    ],
)
def test_a_date_to_ask_again_is_reckoned_by_the_registrys_own_clock(
    said: str, wanted_s: float
) -> None:
    response = requests.Response()
    response.headers.update({"Retry-After": said, "Date": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert retry_after_s(response, PullLimits(retry_after_limit_s=5.0)) == wanted_s


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


async def test_plain_http_outside_the_list_gets_no_request(
    peer: Peer, pull: Pull, open_peer: Callable[[], Peer]
) -> None:
    other = open_peer()
    peer.blob = reply(302, Location=f"http://{other.host}/v2/app/blobs/x")
    text = failure(await pull(f"{peer.host}/app:v1"), peer.host)
    assert f'registry "{other.host}" is not allowed to be reached over plain HTTP' in text
    assert other.requests == []


async def test_a_circle_of_redirects_ends(peer: Peer, pull: Pull) -> None:
    peer.blob = reply(302, Location=f"http://{peer.host}/v2/app/blobs/again")
    assert "too many redirects" in failure(await pull(f"{peer.host}/app:v1"), peer.host)


async def test_a_flood_in_an_answer_nobody_wants_is_not_read(peer: Peer, pull: Pull) -> None:
    """The body of a redirect, which may never end."""

    def flood(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", f"http://{peer.host}/v2/app/moved/v1")
        request.send_header("Connection", "close")
        request.end_headers()
        while not peer.closed.is_set():
            request.wfile.write(bytes(1 << 20))

    peer.token, peer.manifest = peer.manifest, flood  # every other path answers as `token`
    started_at = time.monotonic()
    assert isinstance(await pull(f"{peer.host}/app:v1"), Pulled)
    assert time.monotonic() - started_at < 20


def hang_up(request: BaseHTTPRequestHandler) -> None:
    """Close the connection without an answer."""
    request.close_connection = True


async def test_a_registry_that_hangs_up_once_is_asked_again(peer: Peer, pull: Pull) -> None:
    good = peer.manifest
    peer.manifest = in_turn(hang_up, good, good)
    assert isinstance(await pull(f"{peer.host}/app:v1"), Pulled)


async def test_a_registry_that_always_hangs_up_is_asked_a_few_times(peer: Peer, pull: Pull) -> None:
    peer.manifest = hang_up
    assert unresolved(await pull(f"{peer.host}/app:v1"), peer.host).endswith(": EOF")
    assert len(peer.requests) == LIMITS.attempts


async def test_who_says_the_digest_of_anothers_image_does_not_get_it(
    peer: Peer, pull: Pull, open_peer: Callable[[], Peer]
) -> None:
    thief = open_peer()
    plain = (peer.host, thief.host)
    content = manifest()
    peer.manifest = reply(200, content, Content_Type=OCI, Docker_Content_Digest=digest_of(content))
    pulled = await pull(f"{peer.host}/app:v1", *plain)
    assert isinstance(pulled, Pulled)
    digest = pulled.image.manifest_digest

    def says(request: BaseHTTPRequestHandler) -> None:
        status = 200 if request.command == "HEAD" else 404
        reply(status, Docker_Content_Digest=digest)(request)

    thief.manifest = says
    for target in (":v1", f"@{digest}"):
        result = await pull(f"{thief.host}/app{target}", *plain)
        assert unresolved(result, thief.host, target).endswith("not found")
    again = await pull(f"{peer.host}/app:v1", *plain)
    assert isinstance(again, Pulled)
    assert again.downloaded_bytes == 0
    assert len(peer.seen("/manifests/")) == 1
