"""Asks a log-server's `/healthz` whether its executor lives, when the bus does not say.

No CA has signed the serving certificate yet, so it is recognised by its fingerprint, which the
log-server announced over the authenticated bus.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import structlog

from node_registrar.domain.addresses import Endpoint

log = structlog.get_logger()


class HealthProber:
    """Asks; made by `health_prober`."""

    def __init__(self, session: aiohttp.ClientSession, timeout_s: float) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def healthy(self, endpoint: Endpoint | None) -> bool:
        """Say whether exactly this server answers that its executor lives."""
        if endpoint is None:
            return False
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        try:
            pinned = aiohttp.Fingerprint(bytes.fromhex(endpoint.certificate_sha256))
            async with self._session.get(
                f"https://{host}:{endpoint.port}/healthz",
                ssl=pinned,
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer:
                return _says_ok(endpoint, answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.info("healthz.failed", address=endpoint.address, reason=_text(error))
            return False


def _says_ok(endpoint: Endpoint, status: int) -> bool:
    if status == 200:  # noqa: PLR2004 - an HTTP status is its own name
        return True
    log.info("healthz.failed", address=endpoint.address, reason=f"status {status}")
    return False


def _text(error: Exception) -> str:
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return "another server answers: its certificate is not the announced one"
    return str(error) or type(error).__name__


@asynccontextmanager
async def health_prober(timeout_s: float) -> AsyncIterator[HealthProber]:
    """Give a prober; each probe opens a connection of its own, for a kept one proves nothing."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield HealthProber(session, timeout_s)
