"""The TLS context for the API server, made anew when its files change.

A CA bundle is rotated and a client certificate renewed while we run; a context that was loaded once
would fail at the next handshake until a restart. Keys that came inline never touch a disk.
"""

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from kubekit.errors import KubeconfigError
from kubekit.kubeconfig import Connection, Pem

_CHECK_EVERY_S: Final = 10.0

log = structlog.get_logger(__name__)


class TlsContext:
    """Gives the current context; a changed file takes effect within ten seconds."""

    def __init__(self, connection: Connection, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._clock = clock
        self._checked_at = clock()
        self._fingerprint = self._stat()
        self._context = make_context(connection)

    def current(self) -> ssl.SSLContext:
        """The context for the next handshake. A half-written file keeps the old one in use."""
        now = self._clock()
        if now - self._checked_at < _CHECK_EVERY_S:
            return self._context
        self._checked_at = now
        fingerprint = self._stat()
        if fingerprint != self._fingerprint:
            self._reload(fingerprint)
        return self._context

    def present(self, certificate: Path, key: Path) -> None:
        """Show this client certificate from the next handshake on."""
        if (certificate, key) != (self._connection.certificate, self._connection.key):
            self._connection = msgspec.structs.replace(
                self._connection, certificate=certificate, key=key
            )
            self._reload(self._stat())

    def _reload(self, fingerprint: tuple[object, ...]) -> None:
        try:
            self._context = make_context(self._connection)
        except KubeconfigError as error:
            log.warning("credential.reload_failed", error=str(error))
            return
        self._fingerprint = fingerprint
        log.info("credential.reloaded", server=self._connection.server)

    def _stat(self) -> tuple[object, ...]:
        pems = (self._connection.authority, self._connection.certificate, self._connection.key)
        return tuple(file_fingerprint(pem) for pem in pems if isinstance(pem, Path))


def file_fingerprint(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is rewritten or a symlink to it is swapped; None if it is gone."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_ino, stat.st_mtime_ns, stat.st_size)


def make_context(connection: Connection) -> ssl.SSLContext:
    """One context from the connection's CA and client certificate."""
    try:
        context = _trusting(connection.authority)
        if connection.certificate and connection.key:
            _present(context, connection.certificate, connection.key)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise KubeconfigError(f"TLS files for {connection.server}: {error}") from error
    if not connection.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _trusting(authority: Pem | None) -> ssl.SSLContext:
    match authority:
        case None:
            context = ssl.create_default_context()
        case bytes():
            context = ssl.create_default_context(cadata=authority.decode("ascii"))
        case _:
            context = ssl.create_default_context(cafile=authority)
    # Clusters made by older kubeadm, k3s or hand have CAs without the extensions that RFC 5280
    # asks for; Go and therefore every other component accepts them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _present(context: ssl.SSLContext, certificate: Pem, key: Pem) -> None:
    """Load a client certificate. OpenSSL wants paths, so inline data gets one in memory."""
    descriptors: list[int] = []

    def path_of(pem: Pem) -> str:
        if isinstance(pem, Path):
            return str(pem)
        descriptor = os.memfd_create("kubekit-pem")
        descriptors.append(descriptor)
        os.write(descriptor, pem)
        return f"/proc/self/fd/{descriptor}"

    try:
        context.load_cert_chain(path_of(certificate), path_of(key))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
