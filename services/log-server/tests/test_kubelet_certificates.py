"""Certificates that change under an open port: the server's own, and those it believes."""

import asyncio
import hashlib
import shutil
import socket
import ssl
import stat
from pathlib import Path

import httpx
import pytest
from log_server_pki import Authority
from log_server_world import LOGS, NODE, eventually, shown_certificate, trusting, world
from structlog.testing import capture_logs

from log_server import issuing

AWAITED = "certificate.awaited"
API_SERVER = "kube-apiserver-kubelet-client"


async def test_a_restart_shows_the_same_certificate_from_a_private_file(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    seen = []
    for attempt in ("a", "b"):
        folder = tmp_path / attempt
        folder.mkdir()
        async with world(folder, run_dir=run_dir) as here:
            seen.append(here.listener().tls.certificate.sha256)
    assert seen[0] == seen[1]
    (file,) = run_dir.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    folder = tmp_path / "c"
    folder.mkdir()
    async with world(folder, run_dir=run_dir, node_address="10.9.9.9") as here:
        assert here.listener().tls.certificate.sha256 != seen[0]


async def test_a_certificate_is_renewed_under_open_streams(tmp_path: Path) -> None:
    async with (
        world(tmp_path, run_dir=tmp_path, certificate_lifetime_s=1.0) as here,
        here.admin() as client,
    ):
        log = here.executor.log("c")
        first = here.listener().tls.certificate.sha256
        async with client.stream("GET", f"{LOGS}?follow=true") as answer:
            chunks = answer.aiter_raw()
            await eventually(lambda: here.listener().tls.certificate.sha256 != first)
            log.write("still here")
            assert await anext(chunks) == b"still here\n"
            await eventually(lambda: here.peers.control.announced[NODE].certificate_sha256 != first)
            der = await asyncio.to_thread(shown_certificate, here.listener().port)
            assert hashlib.sha256(der).hexdigest() != first
            log.end()


async def test_a_certificate_that_there_is_no_room_for_is_shown_all_the_same(
    tmp_path: Path,
) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    async with world(tmp_path, run_dir=run_dir, certificate_lifetime_s=1.0) as here:
        shutil.rmtree(run_dir)
        shown = [here.listener().tls.certificate.sha256]

        def renewed() -> bool:
            now = here.listener().tls.certificate.sha256
            if now != shown[-1]:
                shown.append(now)
            return len(shown) == 3

        await eventually(renewed)
        der = await asyncio.to_thread(shown_certificate, here.listener().port)
        assert hashlib.sha256(der).hexdigest() not in shown[:2]


async def test_a_request_is_awaited_however_long_and_another_made_only_when_it_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuing, "RETRY_S", 0.01)
    with capture_logs() as logs:
        async with world(tmp_path, certificate_mode="csr", certificate_patience_s=2.0) as here:
            first = here.listener().tls.certificate.sha256
            await eventually(lambda: [each["event"] for each in logs].count(AWAITED) >= 2, 30)
            assert len(here.cluster.signing_requests) == 1
            here.cluster.deny(0)
            await eventually(lambda: len(here.cluster.signing_requests) > 1, 30)
            here.cluster.sign(1, Authority(tmp_path, "kubelet-ca"))
            await eventually(lambda: here.listener().tls.certificate.sha256 != first, 30)
    assert len(here.cluster.signing_requests) == 2
    assert [each["signed"] for each in logs if each["event"] == "certificate.renewed"] == [True]
    (missed,) = (each for each in logs if each["event"] == "certificate.missed")
    assert "was not signed: Denied" in missed["reason"]


async def test_a_new_client_ca_counts_at_once_and_open_streams_go_on(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        old = here.clients.issue(API_SERVER)
        successor = Authority(tmp_path, "next-ca")
        new = successor.issue(API_SERVER)
        log = here.executor.log("c")
        async with here.client(certificate=old) as old_client:
            assert (await old_client.get("/pods")).status_code == 200
            async with old_client.stream("GET", f"{LOGS}?follow=true") as answer:
                chunks = answer.aiter_raw()
                here.cluster.client_ca = successor.pem
                async with asyncio.timeout(10):
                    while not await gets_in(here.client(certificate=new)):
                        await asyncio.sleep(0.05)
                assert not await gets_in(here.client(certificate=old))
                log.write("still here")
                assert await anext(chunks) == b"still here\n"
                log.end()
                assert [chunk async for chunk in chunks] == []
            # Its connections were made under the old CA: none of them may be used again.
            with pytest.raises(httpx.TransportError):
                await old_client.get("/pods")


async def gets_in(client: httpx.AsyncClient) -> bool:
    async with client:
        try:
            return (await client.get("/pods")).status_code == 200
        except httpx.TransportError:
            return False


async def test_a_broken_client_ca_changes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        certificate = here.clients.issue(API_SERVER)
        here.cluster.client_ca = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        reads = here.cluster.client_ca_reads
        await eventually(lambda: here.cluster.client_ca_reads >= reads + 3)
        assert await gets_in(here.client(certificate=certificate))


async def test_the_client_ca_may_come_from_a_file(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "file-ca")
    file = tmp_path / "ca.pem"
    file.write_text(authority.pem)
    async with world(tmp_path, client_ca_file=file) as here:
        certificate = authority.issue(API_SERVER)
        async with asyncio.timeout(10):
            while not await gets_in(here.client(certificate=certificate)):
                pass  # the file is read a moment after the port is open
        assert not await gets_in(here.client(certificate=here.clients.issue(API_SERVER)))


async def test_a_client_ca_file_that_is_no_text_changes_nothing(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "file-ca")
    file = tmp_path / "ca.pem"
    file.write_text(authority.pem)
    async with world(tmp_path, client_ca_file=file) as here:
        certificate = authority.issue(API_SERVER)
        async with asyncio.timeout(10):
            while not await gets_in(here.client(certificate=certificate)):
                pass  # the file is read a moment after the port is open
        with capture_logs() as told:
            file.write_bytes(ssl.PEM_cert_to_DER_cert(authority.pem))
            await eventually(lambda: [e for e in told if e["event"] == "client_ca.unreadable"])
        assert await gets_in(here.client(certificate=certificate))


async def test_a_resumed_session_proves_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        old = trusting(here.clients.issue(API_SERVER))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        port = here.listener().port
        seen = await asyncio.to_thread(statuses_with_one_session, port, old)
        assert seen[0] == (False, b"200")
        assert (True, b"200") not in seen
        new = trusting(here.clients.issue(API_SERVER))
        seen = await asyncio.to_thread(statuses_with_one_session, port, new)
        assert seen == [(False, b"200")] * 3


def statuses_with_one_session(
    port: int, context: ssl.SSLContext
) -> list[tuple[bool | None, bytes]]:
    """Whether each of three connections resumed the first's session, and what it was answered."""
    seen = []
    session = None
    for _ in range(3):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="n1", session=session) as secured,
        ):
            secured.sendall(b"GET /pods HTTP/1.1\r\nHost: n1\r\n\r\n")
            status = secured.recv(100).split(b" ")[1]
            session = session or secured.session
            seen.append((secured.session_reused, status))
    return seen
