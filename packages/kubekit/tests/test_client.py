"""Requests and their errors, credentials that rotate, lines of any length."""

import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from controlplane.certificates import Authority
from kubekit.client import Api, api_client, connected
from kubekit.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeconfigError,
    NotFoundError,
    ServerError,
    TooManyRequestsError,
    UnauthorizedError,
    UnreachableError,
)
from kubekit.kubeconfig import Connection
from kubekit.testing import (
    End,
    RecordedServer,
    Reply,
    json_reply,
    recorded_server,
    status_reply,
    write_kubeconfig,
)


def to(server: RecordedServer, **fields: Any) -> Any:
    return connected(Connection(server=server.url, **fields), user_agent="wasmlet/test")


async def test_a_request_arrives_as_it_was_meant(server: RecordedServer) -> None:
    server.will("PATCH", json_reply({"kind": "Pod"}, status=201))
    async with to(server, token="secret") as api:
        response = await api.request(
            "PATCH",
            "/api/v1/namespaces/n/pods/p/status",
            query={"fieldManager": "a b", "x": "{}"},
            body=b'{"status":{}}',
            content_type="application/strategic-merge-patch+json",
        )

    assert (response.status, response.body) == (201, b'{"kind":"Pod"}')
    (asked,) = server.asked
    assert asked.query == {"fieldManager": "a b", "x": "{}"}
    assert asked.body == b'{"status":{}}'
    assert asked.headers["Content-Type"] == "application/strategic-merge-patch+json"
    assert asked.headers["Authorization"] == "Bearer secret"
    assert asked.headers["User-Agent"] == "wasmlet/test"


@pytest.mark.parametrize(
    ("reply", "kind", "retryable"),
    [
        (status_reply(401, "Unauthorized"), UnauthorizedError, True),
        (status_reply(403, "Forbidden"), ForbiddenError, False),
        (status_reply(404, "NotFound"), NotFoundError, False),
        (status_reply(409, "Conflict"), ConflictError, False),
        (status_reply(409, "AlreadyExists"), AlreadyExistsError, False),
        (status_reply(410, "Expired"), GoneError, False),
        (status_reply(422, "Invalid"), InvalidError, False),
        (status_reply(422, "Invalid", causes=[{"field": "metadata.uid"}]), ConflictError, False),
        (status_reply(429, "TooManyRequests"), TooManyRequestsError, True),
        (status_reply(500, "InternalError"), ServerError, True),
        (status_reply(504, "Timeout"), ServerError, True),
        (status_reply(400, "BadRequest"), ApiError, False),
        (Reply(status=302, headers={"Location": "http://127.0.0.1:1/"}), ApiError, False),
        (Reply(status=502, chunks=(b"<html>bad gateway",)), ServerError, True),
        (Reply(status=418), ApiError, False),
    ],
    ids=lambda value: getattr(value, "__name__", None) or getattr(value, "status", value),
)
async def test_every_failure_is_an_error_that_says_what_to_do(
    server: RecordedServer, reply: Reply, kind: type[ApiError], *, retryable: bool
) -> None:
    server.will("get", reply)
    async with to(server) as api:
        with pytest.raises(ApiError) as caught:
            await api.request("GET", "/x")

    assert type(caught.value) is kind
    assert caught.value.status == reply.status
    assert caught.value.retryable is retryable


async def test_an_error_carries_what_the_status_says(server: RecordedServer) -> None:
    body = status_reply(
        429, "TooManyRequests", "slow down", retryAfterSeconds=3, causes=[{"reason": "Why"}]
    )
    server.will("get", body, Reply(status=429, headers={"Retry-After": "7"}, chunks=(b"later\n",)))
    async with to(server) as api:
        with pytest.raises(TooManyRequestsError, match="slow down") as structured:
            await api.request("GET", "/x")
        with pytest.raises(TooManyRequestsError, match="later") as textual:
            await api.request("GET", "/x")

    assert structured.value.retry_after_s == 3
    assert structured.value.causes == ("Why",)
    assert textual.value.retry_after_s == 7


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_server_that_is_not_there_is_unreachable(scheme: str) -> None:
    async with connected(Connection(server=f"{scheme}://127.0.0.1:1"), user_agent="t") as api:
        with pytest.raises(UnreachableError, match=r"GET /x: .* host 127.0.0.1:1 \["):
            await api.request("GET", "/x")


async def test_a_request_ends_within_its_time(server: RecordedServer) -> None:
    server.will("get", Reply(chunks=(b"{",), end=End.HELD))
    async with to(server) as api:
        with pytest.raises(UnreachableError):
            await api.request("GET", "/x", timeout_s=0.1)


async def test_a_body_that_was_cut_is_no_answer(server: RecordedServer) -> None:
    cut = Reply(chunks=(b"{",), headers={"Content-Length": "99"}, end=End.CUT)
    server.will("POST", cut)
    async with to(server) as api:
        with pytest.raises(UnreachableError):
            await api.request("POST", "/x", body=b"{}")


async def test_connections_are_kept_and_bounded(server: RecordedServer) -> None:
    server.will("get", *[json_reply({})] * 5)
    async with connected(Connection(server=server.url), user_agent="t", connections=1) as api:
        for _ in range(5):
            await api.request("GET", "/x")
        connector = api._session.connector
        assert connector is not None
        assert sum(len(kept) for kept in connector._conns.values()) == 1


async def lines_of(api: Api, read_timeout_s: float = 5.0) -> list[bytes]:
    async with api.lines("/api/v1/pods", {"watch": "1"}, read_timeout_s=read_timeout_s) as lines:
        return [line async for line in lines]


async def test_lines_are_whole_however_they_come(server: RecordedServer) -> None:
    long = b"x" * 3_000_000
    chunks = (b"a", b"b\nc\n\n", b"d\n" + long[:7], long[7:] + b"\ne", b"f")
    server.will("watch", Reply(chunks=chunks, chunk_pause_s=0.01))
    async with to(server) as api:
        assert await lines_of(api) == [b"ab", b"c", b"d", long, b"ef"]


async def test_the_status_is_known_before_the_first_line(server: RecordedServer) -> None:
    server.will("watch", Reply(status=429, chunks=(b"Too many requests\n",)))
    async with to(server) as api:
        with pytest.raises(TooManyRequestsError):
            async with api.lines("/api/v1/pods", {"watch": "1"}, read_timeout_s=5):
                pytest.fail("the body was entered")


async def test_a_silent_watch_ends_after_the_read_time_out(server: RecordedServer) -> None:
    server.will("watch", Reply(chunks=(b"a\n",), end=End.HELD))
    async with to(server) as api:
        with pytest.raises(UnreachableError):
            await lines_of(api, read_timeout_s=0.1)


async def test_a_rotated_token_is_used_from_the_next_request_on(
    server: RecordedServer, tmp_path: Path
) -> None:
    server.will("get", json_reply({}), json_reply({}))
    token = tmp_path / "token"
    token.write_text("one\n")
    kubeconfig = write_kubeconfig(tmp_path / "config", server.url, tokenFile="token")
    async with api_client(kubeconfig, user_agent="t") as api:
        await api.request("GET", "/x")
        (tmp_path / "new").write_text("two\n")
        (tmp_path / "new").rename(token)
        await api.request("GET", "/x")

    assert [asked.headers["Authorization"] for asked in server.asked] == [
        "Bearer one",
        "Bearer two",
    ]


async def test_a_token_refused_while_it_was_rotated_is_read_anew_and_the_request_repeated(
    server: RecordedServer, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("one")
    async with to(server, token_file=token) as api:
        server.will("get", json_reply({}))
        await api.request("GET", "/x")
        # Same size, same inode, and a clock too coarse to show it: only the 401 tells.
        stat = token.stat()
        token.write_text("two")
        os.utime(token, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        server.will("POST", status_reply(401, "Unauthorized"), json_reply({}))
        await api.request("POST", "/x", body=b"{}")

    assert [asked.headers["Authorization"][-3:] for asked in server.asked] == ["one", "one", "two"]


async def test_a_refused_token_that_is_still_the_same_is_not_offered_twice(
    server: RecordedServer,
) -> None:
    server.will("get", status_reply(401, "Unauthorized"), json_reply({}))
    async with to(server, token="secret") as api:
        with pytest.raises(UnauthorizedError) as caught:
            await api.request("GET", "/x")

    assert len(server.asked) == 1
    assert "secret" not in str(caught.value)


async def test_a_token_file_that_is_gone_for_a_moment_is_worth_another_try(
    server: RecordedServer, tmp_path: Path
) -> None:
    async with to(server, token_file=tmp_path / "none") as api:
        with pytest.raises(UnauthorizedError) as caught:
            await api.request("GET", "/x")
    assert caught.value.retryable
    assert not server.asked


def serving(authority: Authority) -> ssl.SSLContext:
    pair = authority.issue("server", name="server", hosts=["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.pair.certificate)
    context.load_cert_chain(pair.certificate, pair.key)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


@pytest.mark.parametrize("is_inline", [True, False], ids=["inline", "files"])
async def test_a_client_certificate_is_shown(tmp_path: Path, *, is_inline: bool) -> None:
    authority = Authority(tmp_path, "ca")
    client = authority.issue("client", name="me")
    certificate, key = (
        (client.certificate.read_bytes(), client.key.read_bytes())
        if is_inline
        else (client.certificate, client.key)
    )
    async with recorded_server(tls=serving(authority)) as server:
        server.will("get", json_reply({}))
        trusted = authority.pair.certificate.read_bytes()
        async with to(server, authority=trusted, certificate=certificate, key=key) as api:
            await api.request("GET", "/x")
        assert server.asked[0].has_client_certificate


async def test_a_server_of_another_authority_is_not_talked_to(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with recorded_server(tls=serving(Authority(tmp_path, "ca"))) as server:
        other = Authority(tmp_path / "other", "ca").pair.certificate
        async with to(server, authority=other, token="secret") as api:
            with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
                await api.request("GET", "/x")
        assert not server.asked


async def test_a_renewed_bundle_of_authorities_is_read_within_seconds(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    bundle = tmp_path / "bundle.crt"
    bundle.write_bytes(Authority(tmp_path / "old", "ca").pair.certificate.read_bytes())
    new = Authority(tmp_path, "ca")
    now = 0.0
    async with recorded_server(tls=serving(new)) as server:
        server.will("get", json_reply({}))
        connection = Connection(server=server.url, authority=bundle)
        async with connected(connection, user_agent="t", clock=lambda: now) as api:
            bundle.write_bytes(b"half-wri")
            now = 11.0
            with pytest.raises(UnreachableError):
                await api.request("GET", "/x")
            bundle.write_bytes(new.pair.certificate.read_bytes())
            now = 22.0
            await api.request("GET", "/x")


async def test_unreadable_tls_files_are_a_matter_for_the_operator(tmp_path: Path) -> None:
    connection = Connection(server="https://127.0.0.1:1", authority=tmp_path / "none")
    with pytest.raises(KubeconfigError, match="TLS files"):
        async with connected(connection, user_agent="t"):
            pytest.fail("the body was entered")
