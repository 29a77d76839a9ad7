"""The TLS context of one listener, which changes under its open port.

A handshake takes whatever context is current, so that a new certificate or client CA counts at once
and open streams go on. No tickets are given: a resumed session is not verified again.
"""

import contextlib
import os
import ssl
from collections.abc import Iterator

from log_server.certificates import ServingCertificate
from log_server.errors import CertificateError


class ListenerTls:
    """What one listener shows and whom it believes.

    A client certificate is optional; one of an unknown CA fails the handshake, because OpenSSL
    gives no way to look at it afterwards. Without a client CA that is every one.
    """

    def __init__(self, certificate: ServingCertificate) -> None:
        self.certificate = certificate
        self._client_ca: str | None = None
        self._current = _context(certificate, None)
        # Verification is decided by this context, trust and identity by the current one.
        self.context = _context(certificate, None)
        self.context.sni_callback = self._choose

    def trust(self, client_ca: str | None) -> bool:
        """Believe this CA bundle from now on; say whether that is new.

        Raises `CertificateError` and keeps the old one when it cannot be read.
        """
        if client_ca == self._client_ca:
            return False
        self._current = _context(self.certificate, client_ca)
        self._client_ca = client_ca
        return True

    def show(self, certificate: ServingCertificate) -> None:
        """Show this certificate from now on; raises `CertificateError` and keeps the old one."""
        self._current = _context(certificate, self._client_ca)
        self.certificate = certificate

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _base: ssl.SSLContext
    ) -> None:
        connection.context = self._current


def _context(certificate: ServingCertificate, client_ca: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    try:
        with _in_memory(certificate.pem) as path:
            context.load_cert_chain(path)
    except ssl.SSLError as error:
        # A key that the machine's policy takes for too short, say.
        raise CertificateError(f"the certificate cannot be shown: {error.reason}") from error
    except OSError as error:  # no descriptor is left
        raise CertificateError(f"the certificate cannot be shown: {error.strerror}") from error
    context.verify_mode = ssl.CERT_OPTIONAL
    # Go trusts every certificate of the bundle as it is, an intermediate one too.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if client_ca is not None:
        try:
            context.load_verify_locations(cadata=client_ca)
        except (ssl.SSLError, ValueError) as error:
            raise CertificateError(f"the client CA cannot be read: {error}") from error
    return context


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """Give a path to these bytes, because OpenSSL loads keys from paths alone."""
    descriptor = os.memfd_create("serving-certificate")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
