"""A certificate that somebody else keeps in files, which change and may be no good."""

import asyncio
import datetime as dt
import errno
import hashlib
import ipaddress
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from log_server_pki import Authority
from log_server_world import FAST, LOGS, NODE, OTHER, eventually, shown_certificate, world
from structlog.testing import capture_logs

from log_server import app
from log_server.certificatefiles import CertificateFiles
from log_server.certificates import requested
from log_server.errors import CertificateError

ADDRESS = FAST["node_address"]
DAY = dt.timedelta(days=1)
END = "-----END CERTIFICATE-----\n"


class Pair:
    """The two files."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "tls.crt"
        self.key = folder / "tls.key"
        self.authority = Authority(folder, "somebody")
        self.renew()

    def renew(self, lifetime: dt.timedelta = DAY, address: str = ADDRESS) -> str:
        """Write another pair; its fingerprint."""
        mine = requested(NODE, address)
        pem = self.authority.sign(mine.request, lifetime=lifetime)
        self.certificate.write_bytes(pem + self.authority.pem.encode())
        self.key.write_bytes(mine.key)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest()

    def settings(self) -> dict[str, Any]:
        return {
            "certificate_mode": "files",
            "tls_cert_file": self.certificate,
            "tls_private_key_file": self.key,
            "tls_files_interval_s": 0.02,
        }


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


async def test_files_that_are_replaced_are_shown_under_open_streams(
    tmp_path: Path, pair: Pair
) -> None:
    async with world(tmp_path, **pair.settings()) as here, here.admin() as client:
        log = here.executor.log("c")
        async with client.stream("GET", f"{LOGS}?follow=true") as answer:
            chunks = answer.aiter_raw()
            renewed = pair.renew()
            announced = here.peers.control.announced
            await eventually(lambda: announced[NODE].certificate_sha256 == renewed)
            log.write("still here")
            assert await anext(chunks) == b"still here\n"
            der = await asyncio.to_thread(shown_certificate, here.listener().port)
            assert hashlib.sha256(der).hexdigest() == renewed
            log.end()


async def test_files_that_broke_change_nothing_but_readiness(tmp_path: Path, pair: Pair) -> None:
    with capture_logs() as logs:
        async with world(tmp_path, **pair.settings()) as here:
            shown = here.listener().tls.certificate.sha256
            pair.key.write_bytes(requested(NODE, ADDRESS).key)
            reason = f"the key in {pair.key} is not that of {pair.certificate}"
            await eventually(lambda: here.server.unready() == reason)
            pair.key.unlink()
            gone = f"{pair.key} cannot be read: No such file or directory"
            await eventually(lambda: here.server.unready() == gone)
            assert here.listener().tls.certificate.sha256 == shown
            mended = pair.renew()
            await eventually(lambda: here.server.unready() is None)
            assert here.listener().tls.certificate.sha256 == mended
    said = [each["reason"] for each in logs if each["event"] == "certificate.unusable"]
    assert said == [reason, gone]


async def test_a_node_that_comes_while_they_are_broken_waits_and_others_are_served(
    tmp_path: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "RETRY_S", 0.02)
    async with world(tmp_path, **pair.settings()) as here, here.admin() as client:
        pair.key.unlink()
        await here.peers.control.grant(OTHER)
        await eventually(lambda: "cannot be read" in (here.server.unready() or ""))
        assert (await client.get("/healthz/ping")).status_code == 200
        assert OTHER not in here.server.listeners
        pair.renew()
        await eventually(lambda: OTHER in here.peers.control.announced)
        await eventually(lambda: here.server.unready() is None)


async def test_an_expired_certificate_is_shown_and_said(tmp_path: Path, pair: Pair) -> None:
    with capture_logs() as logs:
        async with world(tmp_path, **pair.settings()) as here:
            expired = pair.renew(-dt.timedelta(minutes=1), "10.9.9.9")
            wanted = "the certificate of the kubelet port has expired"
            await eventually(lambda: here.server.unready() == wanted)
            assert here.listener().tls.certificate.sha256 == expired
    unnamed = [each["address"] for each in logs if each["event"] == "certificate.address_unnamed"]
    assert unnamed == [ADDRESS]


P256 = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
UNKNOWN_CURVE = P256[:-1] + b"\x06"
IP_NAME = b"\x87\x04" + ipaddress.ip_address(ADDRESS).packed
NO_ADDRESSES = 2 * b"\x87\x01\x7f"  # two, of one byte each


def altered(certificate: bytes, old: bytes, new: bytes) -> bytes:
    """What no library signs: bytes of the first certificate replaced."""
    der = ssl.PEM_cert_to_DER_cert(certificate.decode().partition("-----END")[0] + END)
    assert old in der
    return ssl.DER_cert_to_PEM_cert(der.replace(old, new)).encode()


async def test_what_openssl_takes_and_the_library_cannot_read_ends_nothing(
    tmp_path: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as logs:
        async with world(tmp_path, **pair.settings()) as here:
            shown = here.listener().tls
            pair.renew()
            unnamed = altered(pair.certificate.read_bytes(), IP_NAME, NO_ADDRESSES)
            pair.certificate.write_bytes(unnamed)
            digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(unnamed.decode())).hexdigest()
            await eventually(lambda: shown.certificate.sha256 == digest)
            pair.certificate.write_bytes(altered(unnamed, P256, UNKNOWN_CURVE))
            await eventually(lambda: "cannot be used" in (here.server.unready() or ""))
            with monkeypatch.context() as patched:
                patched.setattr(os, "memfd_create", no_descriptor)
                pair.renew()
                reason = "the certificate cannot be shown: Too many open files"
                await eventually(lambda: here.server.unready() == reason)
            await eventually(lambda: here.server.unready() is None)
    assert [each["address"] for each in logs if "unnamed" in each["event"]] == [ADDRESS]


def no_descriptor(_name: str) -> int:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def with_password() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def test_each_thing_that_may_be_wrong_is_told_in_one_line_without_the_key(
    tmp_path: Path, pair: Pair
) -> None:
    files = CertificateFiles(pair.certificate, pair.key, ADDRESS, 1.0)
    certificate, key = pair.certificate.read_bytes(), pair.key.read_bytes()
    cases: list[tuple[bytes, bytes, str]] = [
        (b"", key, f"{pair.certificate} holds no certificate in PEM"),
        (key, key, f"{pair.certificate} holds no certificate in PEM"),
        (certificate, b"", f"{pair.key} holds no key in PEM"),
        (certificate, key[:60], f"{pair.key} holds no key in PEM"),
        (certificate, certificate, f"{pair.key} holds no key in PEM"),
        (certificate, with_password(), f"the key in {pair.key} has a password"),
        (
            pair.authority.pem.encode() + certificate,
            key,
            f"the key in {pair.key} is not that of {pair.certificate}",
        ),
    ]
    for left, right, said in cases:
        pair.certificate.write_bytes(left)
        pair.key.write_bytes(right)
        with pytest.raises(CertificateError) as caught:
            files.read()
        assert str(caught.value) == said
    folder = CertificateFiles(tmp_path, pair.key, ADDRESS, 1.0)
    with pytest.raises(CertificateError, match="cannot be read: Is a directory"):
        folder.read()
