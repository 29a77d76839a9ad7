"""The certificate that each server of the bus shows: the one that it read when it started.

What lies in its Secret may have been renewed since.
"""

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from wasmlet.doctor.certificates import certificate_finding
from wasmlet.doctor.findings import Finding

PORT: Final = 4222
_ANSWER_WITHIN_S: Final = 5
_ADVICE: Final = "renew it where it is old, and restart NATS, which reads it when it starts"


async def shown_findings(urls: str) -> list[Finding]:
    """Return how old the certificates are; of servers without TLS, or that are away, nothing."""
    found = []
    for url in urls.split(","):
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                pem = await _shown(url)
        except (OSError, TimeoutError, ValueError, EOFError, msgspec.MsgspecError):
            continue  # what is wrong, the login to the bus says
        if pem is not None:
            found.append(certificate_finding(f"certificate of {url}", pem, _ADVICE))
    return found


async def _shown(url: str) -> str | None:
    """Begin as a client does: the server says what it is in the clear, TLS comes after it."""
    at = urlsplit(url if "//" in url else f"//{url}")
    reader, writer = await asyncio.open_connection(at.hostname, at.port or PORT)
    try:
        _, _, info = (await reader.readuntil(b"\n")).partition(b"INFO ")
        if not msgspec.json.decode(info, type=dict[str, Any]).get("tls_required"):
            return None
        await writer.start_tls(_any_certificate(), server_hostname=at.hostname)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return None if der is None else ssl.DER_cert_to_PEM_cert(der)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def _any_certificate() -> ssl.SSLContext:
    """Trust nobody and tell nothing: it is only looked at."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
