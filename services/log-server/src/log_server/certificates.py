"""The serving certificate of a Node: made here, self-signed, its key never on a disk.

It lives in memory, or in a 0600 file on tmpfs where a restarted server finds it again, so that who
has pinned the certificate needs no new announcement.
"""

import datetime as dt
import hashlib
import ipaddress
import os
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from contract.ids import NodeName

_BACKDATED: Final = dt.timedelta(minutes=5)
"""Clocks of a cluster differ a little."""
RENEW_AT: Final = 0.8
"""The part of its life after which a certificate is replaced."""


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


def self_signed(
    node: NodeName, address: str, lifetime_s: float, now: dt.datetime
) -> ServingCertificate:
    """Make a key and a certificate for a Node's name and address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"[:64]),
        ]
    )
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
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return _known(key_pem + certificate.public_bytes(serialization.Encoding.PEM), certificate)


def _known(pem: bytes, certificate: x509.Certificate) -> ServingCertificate:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return ServingCertificate(
        pem=pem,
        sha256=hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest(),
        renew_at=(start + (end - start) * RENEW_AT).timestamp(),
        expires_at=end.timestamp(),
    )


def kept_or_made(
    folder: Path | None, node: NodeName, address: str, lifetime_s: float
) -> ServingCertificate:
    """Return the certificate that an earlier run left in `folder`, or a new one, left there."""
    now = dt.datetime.now(dt.UTC)
    file = None if folder is None else folder / f"kubelet-{node}.pem"
    kept = None if file is None else _kept(file, _names(node, address))
    if kept is not None and now.timestamp() < kept.renew_at:
        return kept
    made = self_signed(node, address, lifetime_s, now)
    if file is not None:
        _keep(file, made.pem)
    return made


def _names(node: NodeName, address: str) -> x509.SubjectAlternativeName:
    ip = ipaddress.ip_address(address)
    return x509.SubjectAlternativeName([x509.DNSName(node), x509.IPAddress(ip)])


def _kept(file: Path, names: x509.SubjectAlternativeName) -> ServingCertificate | None:
    """Return what a file holds, unless it is broken or for another name or address."""
    try:
        pem = file.read_bytes()
        serialization.load_pem_private_key(pem, password=None)
        certificate = x509.load_pem_x509_certificate(pem)
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (OSError, ValueError, x509.ExtensionNotFound):
        return None
    return _known(pem, certificate) if extension.value == names else None


def _keep(file: Path, pem: bytes) -> None:
    """Write a 0600 file in one step, so that a crash leaves the old one or the new one."""
    partial = file.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(pem)
    partial.replace(file)
