"""What a registry, its mirrors and its token server are shown, and what nobody else is.

The peers are real HTTP servers whose answers the test writes; the pull is the real job process.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_registry import WASM, Peer, guarded, reply, unresolved

from controlplane.certificates import Authority
from wasm_executor.images.jobs import Credentials, JobFailed, Pulled
from wasm_executor.images.layers.manifest import digest_of
from wasm_executor.images.registries.challenge import Challenge, parse_challenges

type Pull = Callable[..., Any]

ME = Credentials(username="me", password="secret")
BASIC_ME = "Basic bWU6c2VjcmV0"
TOKEN = reply(200, b'{"access_token": "t0k3n"}', Content_Type="application/json")


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("Basic", [("basic", {})]),
        (
            'Bearer realm="https://a/t?x=1,2",service="s", scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://a/t?x=1,2",
                        "service": "s",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (
            'Basic realm="a \\"b\\"", Bearer REALM=https://c , service = "d"',
            [("basic", {"realm": 'a "b"'}), ("bearer", {"realm": "https://c", "service": "d"})],
        ),
        ("Negotiate, Basic realm=x", [("negotiate", {}), ("basic", {"realm": "x"})]),
        ('"nonsense"', []),
        ("", []),
        ("Bearer " + 'a="' * 10_000, [("bearer", {})]),
    ],
)
def test_challenges_are_read_as_they_are_written(
    header: str, wanted: list[tuple[str, dict[str, str]]]
) -> None:
    assert parse_challenges(header) == [
        Challenge(scheme=scheme, parameters=parameters) for scheme, parameters in wanted
    ]


async def test_a_token_server_elsewhere_is_asked_only_where_it_is_listed(
    peer: Peer, pull: Pull, open_peer: Callable[[], Peer]
) -> None:
    server = open_peer()
    server.token = TOKEN
    peer.manifest = guarded(peer, peer.manifest, "Bearer t0k3n", server.host)
    plain = (peer.host, server.host)
    refused = await pull(f"{peer.host}/app:v1", *plain, credentials=ME)
    assert "does not trust with credentials" in unresolved(refused, peer.host)
    assert server.requests == []
    hosts = (server.host,)
    assert isinstance(
        await pull(f"{peer.host}/app:v1", *plain, credentials=ME, token_hosts=hosts), Pulled
    )
    assert server.seen("/token") == [BASIC_ME]
    assert BASIC_ME not in peer.seen("")


async def test_a_token_is_asked_for_pulling_whatever_the_registry_wants(
    peer: Peer, pull: Pull
) -> None:
    peer.token = TOKEN
    wide = f'Bearer realm="http://{peer.host}/token",service="r",scope="repository:app:pull,push"'
    peer.manifest = reply(401, WWW_Authenticate=wide)
    await pull(f"{peer.host}/app:v1")
    (asked,) = (path for _, path, _ in peer.requests if path.startswith("/token"))
    assert asked == "/token?scope=repository%3Aapp%3Apull&service=r"


async def test_an_identity_token_buys_a_token_by_post_and_is_shown_to_nobody_else(
    peer: Peer, pull: Pull
) -> None:
    peer.token = TOKEN
    peer.manifest = guarded(peer, peer.manifest, "Bearer t0k3n")
    credentials = Credentials(username="me", identity_token="refresh-me")
    assert isinstance(await pull(f"{peer.host}/app:v1", credentials=credentials), Pulled)
    (form,) = peer.forms
    assert form["grant_type"] == "refresh_token"
    assert form["refresh_token"] == "refresh-me"
    assert form["scope"] == "repository:app:pull"
    assert not any("refresh-me" in f"{path} {auth}" for _, path, auth in peer.requests)


async def test_a_redirected_token_request_is_not_followed(
    peer: Peer, pull: Pull, open_peer: Callable[[], Peer]
) -> None:
    thief = open_peer()
    peer.token = reply(307, Location=f"http://{thief.host}/token")
    peer.manifest = guarded(peer, peer.manifest, "Bearer t0k3n")
    result = await pull(f"{peer.host}/app:v1", peer.host, thief.host, credentials=ME)
    assert "307 Temporary Redirect" in unresolved(result, peer.host)
    assert thief.requests == []


def configured(folder: Path, registry: str, text: str) -> str:
    own = folder / "registries" / registry
    own.mkdir(parents=True)
    (own / "hosts.toml").write_text(text)
    return str(own.parent)


async def test_mirrors_are_asked_first_without_credentials_and_the_registry_where_they_fail(
    peer: Peer, pull: Pull, open_peer: Callable[[], Peer], tmp_path: Path
) -> None:
    away, mirror = open_peer(), open_peer()
    away.manifest = reply(401, WWW_Authenticate="Basic")
    away.blob = mirror.blob = reply(404)
    peer.manifest = reply(500)
    peer.blob = guarded(peer, peer.blob, "Bearer t0k3n")
    peer.token = TOKEN
    text = f"""
        [host."http://{away.host}"]
          capabilities = ["pull", "resolve"]
        [host."http://{mirror.host}/v2/"]
        [host."http://127.0.0.1:1"]
          capabilities = ["pull"]
    """
    folder = configured(tmp_path, peer.host, text)
    result = await pull(f"{peer.host}/app:v1", peer.host, credentials=ME, config_dir=folder)
    assert isinstance(result, Pulled)
    assert peer.seen("/manifests/") == []
    assert peer.seen("/token") == [BASIC_ME]
    asked = [(path, auth) for each in (away, mirror) for _, path, auth in each.requests]
    assert {auth for _, auth in asked} == {None}
    assert all(path.endswith(f"?ns={peer.host.replace(':', '%3A')}") for path, _ in asked)


async def test_a_cas_file_beside_a_registrys_name_is_trusted_for_it_alone(
    pull: Pull, open_peer: Callable[..., Peer], tmp_path: Path
) -> None:
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("peer", name="peer", hosts=("127.0.0.1",))
    one, two = open_peer(pair), open_peer(pair)
    own = tmp_path / "registries" / one.host
    own.mkdir(parents=True)
    (own / "ca.crt").write_bytes(authority.pair.certificate.read_bytes())
    folder = str(own.parent)
    trusted = await pull(f"{one.host}/app:v1", "none", config_dir=folder)
    other = await pull(f"{two.host}/app:v1", "none", config_dir=folder)
    assert isinstance(trusted, Pulled)
    assert "unknown authority" in unresolved(other, two.host)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[host", "Expected"),
        ('[host."https://m"]\nskip_verify = true', "skip_verify is not supported"),
        ('[host."https://m"]\nca = "no.crt"', "there is no file"),
        ('[host."https://m"]\nclient = "c.pem"', "client is not supported"),
        ('[host."https://m"]\ncapabilities = ["fly"]', "capabilities are"),
        ('[host."ftp://m"]', "is not the address of a registry"),
    ],
)
async def test_a_configuration_that_is_not_understood_is_no_configuration(
    peer: Peer, pull: Pull, tmp_path: Path, text: str, problem: str
) -> None:
    folder = configured(tmp_path, peer.host, text)
    result = await pull(f"{peer.host}/app:v1", config_dir=folder)
    assert isinstance(result, JobFailed)
    assert "failed to load hosts config: " in result.message
    assert problem in result.message
    assert peer.requests == []


async def test_a_redirect_to_another_host_gets_no_credentials(
    peer: Peer, pull: Pull, open_peer: Callable[[], Peer]
) -> None:
    storage = open_peer()
    basic = reply(401, WWW_Authenticate="Basic")
    moved = reply(307, Location=f"http://{storage.host}/v2/app/blobs/{digest_of(WASM)}")

    def check(request: Any) -> None:
        (moved if request.headers["Authorization"] == BASIC_ME else basic)(request)

    peer.blob = check
    plain = (peer.host, storage.host)
    assert isinstance(await pull(f"{peer.host}/app:v1", *plain, credentials=ME), Pulled)
    assert storage.seen("/blobs/") == [None]
