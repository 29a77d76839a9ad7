"""The serving certificate of a Node: its key is born here, and never lies on a disk.

It signs itself, or the cluster's signer signs a request for it. It lives in memory, or in a 0600
file on tmpfs where a restarted server finds it again, so that who has pinned the certificate needs
no new announcement.
"""

import datetime as dt
import hashlib
import ipaddress
import os
import random
from pathlib import Path
from typing import Final

import msgspec
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from contract.ids import NodeName
from kubekit.certificates import UNREADABLE
from log_server.errors import CertificateError

log = structlog.get_logger()

_BACKDATED: Final = dt.timedelta(minutes=5)
"""Clocks of a cluster differ a little."""
RENEW_BETWEEN: Final = (0.7, 0.9)
"""The parts of its life between which a certificate is replaced: not all nodes at one time."""


class ServingCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate and its key, as PEM, and what others need to know of it."""

    pem: bytes
    sha256: str
    """Of the DER form, in hexadecimal."""
    renew_at: float
    """Seconds since the epoch."""
    expires_at: float

    def __repr__(self) -> str:
        # The key must not reach a log or a traceback by way of repr.
        return f"ServingCertificate(sha256={self.sha256!r})"

    def to_be_replaced(self) -> "ServingCertificate":
        """Return the same one, as one that is shown only until another is there."""
        return msgspec.structs.replace(self, renew_at=0.0)


def self_signed(
    node: NodeName, address: str, lifetime_s: float, now: dt.datetime
) -> ServingCertificate:
    """Make a key and a certificate for a Node's name and address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _subject(node)
    names = _names(node, address)
    end = now + dt.timedelta(seconds=lifetime_s)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(end)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = _pem_of(key) + certificate.public_bytes(serialization.Encoding.PEM)
    return _known(pem, certificate, lifetime_s)


class Requested(msgspec.Struct, frozen=True, kw_only=True):
    """A new key, and the request for a certificate of it, as PEM."""

    key: bytes
    request: bytes

    def __repr__(self) -> str:
        return "Requested()"  # as above


def requested(node: NodeName, address: str) -> Requested:
    """Make a key, and what a signer of kubelets' serving certificates is asked."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_subject(node))
        .add_extension(_names(node, address), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Requested(key=_pem_of(key), request=request.public_bytes(serialization.Encoding.PEM))


def completed(
    mine: Requested, signed: bytes, node: NodeName, address: str, lifetime_s: float
) -> ServingCertificate:
    """Return the certificate that was signed for this request.

    Raises `CertificateError` for one of another key or for another name: nobody would believe it.
    """
    try:
        certificate = x509.load_pem_x509_certificate(signed)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key = serialization.load_pem_private_key(mine.key, password=None)
        is_ours = certificate.public_key() == key.public_key()
    except (*UNREADABLE, x509.ExtensionNotFound) as error:
        raise CertificateError(f"what was signed cannot be used: {error}") from error
    if not is_ours or set(names) != set(_names(node, address)):
        raise CertificateError("what was signed is for another key or name")
    return _known(mine.key + signed, certificate, lifetime_s)


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _subject(node: NodeName) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"[:64]),
        ]
    )


def _known(pem: bytes, certificate: x509.Certificate, lifetime_s: float) -> ServingCertificate:
    """Take a certificate's times from itself: whoever finds it again replaces it at that moment."""
    digest = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if start + _BACKDATED < end:  # the cluster's signer dates back as we do
        start += _BACKDATED
    end = min(end, start + dt.timedelta(seconds=lifetime_s))  # a signer may give more
    part = random.Random(digest).uniform(*RENEW_BETWEEN)  # noqa: S311 - no secret
    return ServingCertificate(
        pem=pem,
        sha256=digest,
        renew_at=(start + (end - start) * part).timestamp(),
        expires_at=certificate.not_valid_after_utc.timestamp(),
    )


def kept_or_made(
    folder: Path | None, node: NodeName, address: str, lifetime_s: float
) -> ServingCertificate:
    """Return the certificate that an earlier run left in `folder`, or a new one, left there."""
    found = kept(folder, node, address, lifetime_s)
    if found is not None and dt.datetime.now(dt.UTC).timestamp() < found.renew_at:
        return found
    return made(folder, node, address, lifetime_s)


def made(
    folder: Path | None, node: NodeName, address: str, lifetime_s: float
) -> ServingCertificate:
    """Return a new certificate that signs itself, left in `folder`."""
    new = self_signed(node, address, lifetime_s, dt.datetime.now(dt.UTC))
    keep(folder, node, new)
    return new


def kept(
    folder: Path | None, node: NodeName, address: str, lifetime_s: float, *, signed: bool = False
) -> ServingCertificate | None:
    """Return what an earlier run left, unless it is for another name; `signed`: by somebody."""
    if folder is None:
        return None
    return _kept(_file_in(folder, node, signed=signed), _names(node, address), lifetime_s)


def keep(
    folder: Path | None, node: NodeName, new: ServingCertificate, *, signed: bool = False
) -> None:
    """Leave a certificate where `kept` finds it; it is as good where there is no room for it."""
    if folder is None:
        return
    try:
        _keep(_file_in(folder, node, signed=signed), new.pem)
    except OSError as error:
        log.warning("certificate.unkept", node=node, reason=str(error))


def remove(folder: Path | None, node: NodeName) -> None:
    """Remove what was left of a node."""
    if folder is None:
        return
    for signed in (False, True):
        try:
            _file_in(folder, node, signed=signed).unlink(missing_ok=True)
        except OSError as error:
            log.warning("certificate.unremoved", node=node, reason=str(error))


def _file_in(folder: Path, node: NodeName, *, signed: bool) -> Path:
    return folder / (f"kubelet-{node}.signed.pem" if signed else f"kubelet-{node}.pem")


def _names(node: NodeName, address: str) -> x509.SubjectAlternativeName:
    ip = ipaddress.ip_address(address)
    return x509.SubjectAlternativeName([x509.DNSName(node), x509.IPAddress(ip)])


def _kept(
    file: Path, names: x509.SubjectAlternativeName, lifetime_s: float
) -> ServingCertificate | None:
    """Return what a file holds, unless it is broken or for another name or address."""
    try:
        pem = file.read_bytes()
        serialization.load_pem_private_key(pem, password=None)
        certificate = x509.load_pem_x509_certificate(pem)
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (OSError, *UNREADABLE, x509.ExtensionNotFound):
        return None
    return _known(pem, certificate, lifetime_s) if set(extension.value) == set(names) else None


def _keep(file: Path, pem: bytes) -> None:
    """Write a 0600 file in one step, so that a crash leaves the old one or the new one."""
    partial = file.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(pem)
    partial.replace(file)
