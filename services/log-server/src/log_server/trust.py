"""Keeping up with the cluster's client CA, and with whether the API server answers."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog

from log_server.errors import CertificateError, ReviewError
from log_server.kube import ApiServer
from log_server.settings import LogServerSettings

log = structlog.get_logger()

FIRST_RETRY_S: Final = 1.0
"""Until there is a first client CA, nobody comes in by certificate: the API server neither."""


async def follow_client_ca(
    api: ApiServer, settings: LogServerSettings, trust: Callable[[str | None], None]
) -> None:
    """Tell `trust` the client CA, now and again, until cancelled.

    What cannot be read changes nothing.
    """
    known = False
    while True:
        try:
            trust(await _client_ca(api, settings.client_ca_file))
            known = True
        except (ReviewError, CertificateError, OSError) as error:
            log.warning("client_ca.unreadable", reason=str(error))
        await asyncio.sleep(settings.client_ca_interval_s if known else FIRST_RETRY_S)


def _client_ca(api: ApiServer, file: Path | None) -> Awaitable[str | None]:
    if file is None:
        return api.client_ca()
    return asyncio.to_thread(_text_of, file)


def _text_of(file: Path) -> str:
    try:
        return file.read_text()
    except UnicodeDecodeError as error:
        raise CertificateError(f"{file} is no PEM file") from error


async def follow_api_health(api: ApiServer, interval_s: float) -> None:
    """Ask the API server for a sign of life, until cancelled. It notes the outcome itself."""
    while True:
        try:
            await api.check()
        except ReviewError as error:
            log.warning("api_server.away", reason=str(error))
        await asyncio.sleep(interval_s)
