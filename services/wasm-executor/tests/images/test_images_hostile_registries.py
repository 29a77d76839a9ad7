"""Hostile and broken registries, side by side: each pod waits with the kubelet's reason and advice.

One service pulls from many of them at once, as a node does; so this also shows that none of them
holds up another, or the honest one among them.
"""

import asyncio
import datetime as dt
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from scripted_registry import OCI, WASM, Answer, Peer, manifest, reply
from wasmtime import wat2wasm

from contract.messages.pull import PullPolicy
from controlplane import certificates
from controlplane.certificates import Authority, KeyPair
from wasm_executor.images.errors import ImageError
from wasm_executor.images.jobs import PullLimits
from wasm_executor.images.puller import ImageService

type OpenImages = Callable[..., AbstractAsyncContextManager[ImageService]]

LIMITS = PullLimits(stall_timeout_s=4.0, total_timeout_s=40.0, retry_delay_s=0.05)
"""Longer than the processes of pulls hold one another up."""
AT_A_TIME = 8
GOOD = bytes(wat2wasm('(module (func (export "_start")))'))
BIG_MANIFEST = 100 << 20
CHUNK = bytes(1 << 16)


def endless(start: bytes, length: str) -> Answer:
    """Begin well, and go on for ever."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", OCI)
        if length:
            request.send_header("Content-Length", length)
        request.end_headers()
        request.wfile.write(start)
        while True:  # until the client goes: that is an error of the socket
            request.wfile.write(CHUNK)

    return answer


def stalled(request: BaseHTTPRequestHandler) -> None:
    """Promise the layer, send a part, and say nothing more while the client waits."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(WASM)))
    request.end_headers()
    request.wfile.write(WASM[:100])
    request.connection.settimeout(60.0)
    request.connection.recv(1)


class Case:
    """One registry, and what a pod is told of it. `{host}` and `{other}` are addresses."""

    def __init__(
        self, said: str, reason: str = "ErrImagePull", image: str = "app:v1", **answers: Any
    ) -> None:
        self.said, self.reason, self.image, self.answers = said, reason, image, answers


DAMAGED = "damaged: push it again"
UNAVAILABLE = "because the registry is unavailable"
CASES = {
    "layer-wrong-digest": Case(DAMAGED, blob=reply(200, WASM[:-1] + b"!")),
    "layer-short": Case(DAMAGED, blob=reply(200, WASM[:-1])),
    "layer-long": Case(DAMAGED, blob=reply(200, WASM + b"!")),
    "layer-endless": Case(DAMAGED, blob=endless(WASM, "")),
    "layer-stalled": Case("no progress for 4s at byte 100", blob=stalled),
    "layer-404": Case("content at http://{host}/v2/app/blobs/", blob=reply(404)),
    "layer-500": Case("500 Internal Server Error", blob=reply(500)),
    "layer-503": Case(UNAVAILABLE, "RegistryUnavailable", blob=reply(503)),
    "manifest-wrong-digest": Case(
        DAMAGED, manifest=reply(200, manifest(), Docker_Content_Digest="sha256:" + "0" * 64)
    ),
    "manifest-of-100-MB": Case(
        "the manifest is larger than 4194304 bytes",
        manifest=endless(manifest(), str(BIG_MANIFEST)),
    ),
    "manifest-no-json": Case(
        "failed to unmarshal manifest", manifest=reply(200, b"<html>", Content_Type=OCI)
    ),
    "manifest-of-nothing": Case("unsupported media type", manifest=reply(200, b"{}")),
    "401-without-challenge": Case("pull access denied", manifest=reply(401)),
    "401-loop": Case(
        "401 Unauthorized",
        manifest=reply(401, WWW_Authenticate='Bearer realm="http://{host}/token"'),
        token=reply(200, b'{"token": "t"}'),
    ),
    "401-no-token": Case(
        "failed to fetch anonymous token: unexpected status from GET request",
        manifest=reply(401, WWW_Authenticate='Bearer realm="http://{host}/token"'),
        token=reply(403),
    ),
    "401-token-no-json": Case(
        "answered no JSON with a token",
        manifest=reply(401, WWW_Authenticate='Bearer realm="http://{host}/token"'),
        token=reply(200, b"<html>"),
    ),
    "401-token-stalls": Case(
        "/token broke off",
        manifest=reply(401, WWW_Authenticate='Bearer realm="http://{host}/token"'),
        token=stalled,
    ),
    "token-realm-elsewhere": Case(
        'sends for its tokens to "{other}", which this node does not trust with credentials: '
        "add it to REGISTRY_TOKEN_HOSTS if it should",
        manifest=reply(401, WWW_Authenticate='Bearer realm="http://{other}/token"'),
    ),
    "token-realm-nowhere": Case(
        "names no realm", manifest=reply(401, WWW_Authenticate='Bearer realm="file:///etc"')
    ),
    "403": Case("pull access denied", manifest=reply(403)),
    "404": Case("{host}/app:v1: not found", manifest=reply(404)),
    "429": Case(UNAVAILABLE, "RegistryUnavailable", manifest=reply(429, Retry_After="0")),
    "500": Case("500 Internal Server Error", manifest=reply(500)),
    "502": Case(UNAVAILABLE, "RegistryUnavailable", manifest=reply(502)),
    "503": Case(UNAVAILABLE, "RegistryUnavailable", manifest=reply(503)),
    "redirect-to-plain-http": Case(
        "INSECURE_REGISTRIES allows plain HTTP", blob=reply(307, Location="http://{other}/x")
    ),
    "redirect-to-a-file": Case("over plain HTTP", blob=reply(307, Location="file:///etc/passwd")),
    "redirect-circle": Case("too many redirects", blob=reply(302, Location="/v2/app/blobs/x")),
    "no-image-name": Case("invalid reference format", "InvalidImageName", image="app:v1:v2"),
    "expired-certificate": Case("the registry needs a new certificate", image="expired"),
    "self-signed-certificate": Case("REGISTRY_CA_FILE", image="self-signed"),
}


def filled(answer: Answer, peer: Peer, other: Peer) -> Answer:
    """Put the addresses, known only now, into the headers of an answer."""

    def answered(request: BaseHTTPRequestHandler) -> None:
        send = request.send_header

        def send_filled(name: str, value: str) -> None:
            send(name, value.replace("{host}", peer.host).replace("{other}", other.host))

        request.send_header = send_filled  # type: ignore[method-assign, assignment]  # this one
        answer(request)

    return answered


@pytest.fixture
def expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[KeyPair, Path]:
    authority = Authority(tmp_path, "ca")
    monkeypatch.setattr(certificates, "CLOCK_SKEW", dt.timedelta(days=2))
    monkeypatch.setattr(certificates, "LIFETIME", -dt.timedelta(days=1))
    pair = authority.issue("expired", name="expired", hosts=("127.0.0.1",))
    return pair, authority.pair.certificate


@pytest.fixture
def self_signed(tmp_path: Path) -> KeyPair:
    folder = tmp_path / "self-signed"
    folder.mkdir()
    return Authority(folder, "127.0.0.1").pair


async def told(images: ImageService, image: str, places: asyncio.Semaphore) -> tuple[str, str]:
    try:
        async with places:
            await images.ensure(image, PullPolicy.IF_NOT_PRESENT)
    except ImageError as error:
        return error.reason, error.message
    return "", "it runs"


@pytest.mark.timeout(90)  # some thirty processes, on what may be two cores
async def test_each_registry_that_fails_is_told_with_its_reason_and_what_to_do(
    open_images: OpenImages,
    open_peer: Callable[..., Peer],
    expired: tuple[KeyPair, Path],
    self_signed: KeyPair,
) -> None:
    other, honest = open_peer(), open_peer()
    honest.manifest = reply(200, manifest(GOOD), Content_Type=OCI)
    honest.blob = reply(200, GOOD)
    tls = {"expired": open_peer(expired[0]), "self-signed": open_peer(self_signed)}
    peers = {name: open_peer() for name in CASES}
    asked = {}
    for name, case in CASES.items():
        for what, answer in case.answers.items():
            setattr(peers[name], what, filled(answer, peers[name], other))
        peer = tls.get(case.image, peers[name])
        asked[name] = f"{peer.host}/{'app:v1' if case.image in tls else case.image}"
    plain = tuple(each.host for each in (*peers.values(), honest))
    settings = {"insecure_registries": plain, "pull_limits": LIMITS, "ca_file": expired[1]}
    async with open_images(**settings) as images, asyncio.TaskGroup() as tasks:
        places = asyncio.Semaphore(AT_A_TIME)
        begun = {
            name: tasks.create_task(told(images, image, places)) for name, image in asked.items()
        }
        fine = tasks.create_task(told(images, f"{honest.host}/app:v1", places))
    answers = {name: task.result() for name, task in begun.items()}
    wrong = {}
    for name, case in CASES.items():
        reason, message = answers[name]
        said = case.said.format(host=peers[name].host, other=other.host)
        if reason != case.reason or said not in message:
            wrong[name] = (reason, message)
    assert wrong == {}
    assert fine.result() == ("", "it runs")
    assert other.requests == [], "nobody was sent there"
    for name in ("429", "502", "503"):
        assert len(peers[name].seen("/manifests/", "HEAD")) == LIMITS.attempts, name
    assert len(peers["401-loop"].seen("/manifests/", "HEAD")) == 2
