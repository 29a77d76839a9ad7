"""A serving certificate that somebody else keeps: two files, which change under an open port.

Files that cannot be used end the start with one line. Later they change nothing: what was shown
before is shown on, and the service says that it is not ready, because it would not start again.
"""

import asyncio
import datetime as dt
import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from contract.ids import NodeName
from kubekit.certificates import UNREADABLE, names_address
from log_server.certificates import ServingCertificate
from log_server.errors import CertificateError
from log_server.tls import ListenerTls

log = structlog.get_logger()


class CertificateFiles:
    """The two files, and what is wrong with them now."""

    def __init__(self, certificate: Path, key: Path, address: str, interval_s: float) -> None:
        self._certificate = certificate
        self._key = key
        self._address = address
        self._interval_s = interval_s
        self.problem: str | None = None

    def read(self) -> ServingCertificate:
        """Return what lies there; raises `CertificateError`."""
        pem, key = _content(self._certificate), _content(self._key)
        chain = _chain(pem, self._certificate)
        private = _private(key, self._key)
        try:
            is_its_key = private.public_key() == chain[0].public_key()
            expires_at = chain[0].not_valid_after_utc.timestamp()
        except UNREADABLE as error:
            raise CertificateError(f"{self._certificate} cannot be used: {error}") from error
        if not is_its_key:
            raise CertificateError(f"the key in {self._key} is not that of {self._certificate}")
        der = chain[0].public_bytes(serialization.Encoding.DER)
        return ServingCertificate(
            pem=key.rstrip() + b"\n" + pem,
            sha256=hashlib.sha256(der).hexdigest(),
            renew_at=math.inf,
            expires_at=expires_at,
        )

    async def follow(self, node: NodeName, tls: ListenerTls, changed: Callable[[], None]) -> None:
        """Show what the files hold, now and again, until cancelled."""
        self._warn_of_names(node, tls.certificate)
        seen: str | None = None
        while True:
            await asyncio.sleep(self._interval_s)
            before, seen = seen, await self._taken_up(node, tls, changed)
            # Two files are not replaced in one step: what is wrong once is looked at again.
            if seen is not None and seen == before and seen != self.problem:
                log.warning("certificate.unusable", node=node, reason=seen)
            self.problem = seen if seen == before else None

    async def _taken_up(
        self, node: NodeName, tls: ListenerTls, changed: Callable[[], None]
    ) -> str | None:
        """Show another certificate than before; return what is wrong with the files."""
        try:
            found = await asyncio.to_thread(self.read)
            if found.pem == tls.certificate.pem:
                return None
            tls.show(found)
        except CertificateError as error:
            return str(error)
        ends = dt.datetime.fromtimestamp(found.expires_at, dt.UTC)
        told = {"file": str(self._certificate), "ends": ends.isoformat()}
        log.info("certificate.renewed", node=node, **told)
        self._warn_of_names(node, found)
        changed()
        return None

    def _warn_of_names(self, node: NodeName, shown: ServingCertificate) -> None:
        """Say whom this certificate keeps out: clients that verify it, of which not all do."""
        if not names_address(shown.pem, self._address):
            log.warning("certificate.address_unnamed", node=node, address=self._address)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertificateError(f"{file} cannot be read: {error.strerror}") from error


def _chain(pem: bytes, file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except UNREADABLE as error:
        raise CertificateError(f"{file} holds no certificate in PEM") from error


def _private(pem: bytes, file: Path) -> PrivateKeyTypes:
    """Return a key. What is wrong with it is not told in the library's words: it is a secret."""
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise CertificateError(f"the key in {file} has a password") from error
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(f"{file} holds no key in PEM") from None
