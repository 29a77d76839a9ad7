"""Keeps a listener's serving certificate current: made here, signed by the cluster, or from files.

A listener never waits for a signature. Until there is one it shows a certificate of its own, which
the registrar pins as it was announced; and an old one is shown until a new one is there. What is
asked for is awaited, however long: another request comes only when one was refused or is gone, and
the more rarely the more often that happens.
"""

import asyncio
import datetime as dt
import math
import random
import time
from collections.abc import Callable
from typing import Final

import structlog

from contract.ids import NodeName
from kubekit.backoff import Backoff
from kubekit.signingrequests import KUBELET_SERVING, Wanted
from log_server.certificatefiles import CertificateFiles
from log_server.certificates import (
    Requested,
    ServingCertificate,
    completed,
    keep,
    kept,
    kept_or_made,
    made,
    remove,
    requested,
    self_signed,
)
from log_server.errors import CertificateError, ReviewError, UnansweredError, UnsignedError
from log_server.kube import ApiServer
from log_server.settings import LogServerSettings
from log_server.tls import ListenerTls

USAGES: Final = ("digital signature", "server auth")
LOOK_EVERY_S: Final = 5.0
RETRY_S: Final = 10.0
LONGEST_RETRY_S: Final = 900.0
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
        self._asked: dict[NodeName, tuple[Requested, str]] = {}
        """The requests that nobody has decided yet, and their names."""
        self._files = _files(settings, address)

    @property
    def problem(self) -> str | None:
        """What is wrong with the files of a certificate, None where it comes from elsewhere."""
        return None if self._files is None else self._files.problem

    def first(self, node: NodeName) -> ServingCertificate:
        """Return what can be shown at once; raises `CertificateError` where files are no good."""
        if self._files is not None:
            return self._files.read()
        if self._signer is None:
            return kept_or_made(self._folder, node, self._address, self._lifetime_s)
        found = kept(self._folder, node, self._address, self._lifetime_s, signed=True)
        if found is not None and time.time() < found.expires_at:
            return found
        now = dt.datetime.now(dt.UTC)
        return self_signed(node, self._address, self._lifetime_s, now).to_be_replaced()

    def forget(self, node: NodeName) -> None:
        """Keep nothing of a node that has ended, nor the keys that a restart would find."""
        self._asked.pop(node, None)
        remove(self._folder, node)

    async def keep_current(
        self, node: NodeName, tls: ListenerTls, changed: Callable[[], None]
    ) -> None:
        """Replace what the listener shows in time, until cancelled."""
        if self._files is not None:
            await self._files.follow(node, tls, changed)
            return
        backoff = Backoff(
            random.random,
            initial_s=RETRY_S,
            maximum_s=LONGEST_RETRY_S,
            reset_after_s=math.inf,
        )
        while True:
            left_s = tls.certificate.renew_at - time.time()
            if left_s > 0:
                await asyncio.sleep(min(left_s, LOOK_EVERY_S))
                continue
            try:
                tls.show(await self._renewed(node))
            except UnsignedError as error:
                log.warning("certificate.awaited", node=node, reason=str(error))
                await asyncio.sleep(PAUSE_S)
                continue
            except (ReviewError, CertificateError) as error:
                is_away = isinstance(error, UnansweredError)
                delay_s = RETRY_S if is_away else backoff.delay_s(time.monotonic())
                told = {"reason": str(error), "retry_in_s": round(delay_s)}
                log.warning("certificate.missed", node=node, **told)
                await asyncio.sleep(delay_s)
                continue
            backoff.reset()
            log.info("certificate.renewed", node=node, signed=self._signer is not None)
            changed()
            await asyncio.sleep(PAUSE_S)

    async def _renewed(self, node: NodeName) -> ServingCertificate:
        if self._signer is None:
            return made(self._folder, node, self._address, self._lifetime_s)
        if node not in self._asked:
            self._asked[node] = await self._ask(self._signer, node)
        mine, request = self._asked.pop(node)
        try:
            pem = await self._signer.signature(request, self._patience_s)
        except UnsignedError:
            self._asked[node] = mine, request
            raise
        signed = completed(mine, pem, node, self._address, self._lifetime_s)
        keep(self._folder, node, signed, signed=True)
        return signed

    async def _ask(self, signer: ApiServer, node: NodeName) -> tuple[Requested, str]:
        mine = requested(node, self._address)
        wanted = Wanted(
            prefix=f"wasmlet-{node}-"[:240],
            request=mine.request,
            signer=KUBELET_SERVING,
            usages=USAGES,
            lifetime_s=self._lifetime_s,
        )
        return mine, await signer.ask_signature(wanted)


def _files(settings: LogServerSettings, address: str) -> CertificateFiles | None:
    certificate, key = settings.tls_cert_file, settings.tls_private_key_file
    if certificate is None or key is None:
        return None
    return CertificateFiles(certificate, key, address, settings.tls_files_interval_s)
