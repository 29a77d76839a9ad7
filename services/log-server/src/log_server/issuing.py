"""Keeps a listener's serving certificate current: made here, or signed by the cluster.

A listener never waits for a signature. Until there is one it shows a certificate of its own, which
the registrar pins as it was announced; and an old one is shown until a new one is there.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Callable
from typing import Final

import structlog

from contract.ids import NodeName
from kubekit.signingrequests import KUBELET_SERVING, Wanted
from log_server.certificates import (
    ServingCertificate,
    completed,
    keep,
    kept,
    kept_or_made,
    requested,
    self_signed,
)
from log_server.errors import CertificateError, ReviewError
from log_server.kube import ApiServer
from log_server.settings import LogServerSettings
from log_server.tls import ListenerTls

USAGES: Final = ("digital signature", "server auth")
LOOK_EVERY_S: Final = 5.0
RETRY_S: Final = 10.0
PAUSE_S: Final = 0.2
"""Between two of them, however short they live."""

log = structlog.get_logger()


class Certificates:
    """The serving certificates of this process's nodes."""

    def __init__(self, settings: LogServerSettings, api: ApiServer | None, address: str) -> None:
        self._folder = settings.run_dir
        self._lifetime_s = settings.certificate_lifetime_s
        self._patience_s = settings.certificate_patience_s
        self._signer = api if settings.certificate_mode == "csr" else None
        self._address = address

    def first(self, node: NodeName) -> ServingCertificate:
        """Return what can be shown at once."""
        if self._signer is None:
            return kept_or_made(self._folder, node, self._address, self._lifetime_s)
        found = kept(self._folder, node, self._address, signed=True)
        if found is not None and time.time() < found.expires_at:
            return found
        now = dt.datetime.now(dt.UTC)
        return self_signed(node, self._address, self._lifetime_s, now).to_be_replaced()

    async def keep_current(
        self, node: NodeName, tls: ListenerTls, changed: Callable[[], None]
    ) -> None:
        """Replace what the listener shows in time, until cancelled."""
        while True:
            left_s = tls.certificate.renew_at - time.time()
            if left_s > 0:
                await asyncio.sleep(min(left_s, LOOK_EVERY_S))
                continue
            try:
                tls.show(await self._renewed(node))
            except (ReviewError, CertificateError) as error:
                log.warning("certificate.awaited", node=node, reason=str(error))
                await asyncio.sleep(RETRY_S)
                continue
            log.info("certificate.renewed", node=node, signed=self._signer is not None)
            changed()
            await asyncio.sleep(PAUSE_S)

    async def _renewed(self, node: NodeName) -> ServingCertificate:
        if self._signer is None:
            return kept_or_made(self._folder, node, self._address, self._lifetime_s)
        mine = requested(node, self._address)
        wanted = Wanted(
            prefix=f"wasmlet-{node}-"[:240],
            request=mine.request,
            signer=KUBELET_SERVING,
            usages=USAGES,
            lifetime_s=self._lifetime_s,
        )
        pem = await self._signer.sign(wanted, self._patience_s)
        made = completed(mine, pem, node, self._address, self._lifetime_s)
        keep(self._folder, node, made, signed=True)
        return made
