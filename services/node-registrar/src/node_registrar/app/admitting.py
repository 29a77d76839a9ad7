"""Lets executors onto the bus: the registrar is nats-server's auth callout.

Every replica answers, leader or not, because nothing is written: the server asks one of them. Where
none is there, nobody new is let in, and who is connected stays.
"""

import asyncio
import random
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import Counter

from contract.permissions import ADMISSION, permissions
from kubekit.client import Api
from node_registrar.credentials import Credentials
from node_registrar.domain.admission import RefusedError, Rules, claimed
from node_registrar.settings import RegistrarSettings
from node_registrar.signing import Issuer, Question, question
from servicekit.bus import Bus

QUEUE: Final = "node-registrar"
_SPREAD: Final = 0.2
"""The part of a login's life that is random: nodes that came together do not return together."""

ADMITTED = Counter(
    "wasmlet_bus_admissions", "Connections that asked to be let onto the bus.", ["result"]
)

log = structlog.get_logger()


class Gate:
    """Answers who is let in, and as whom."""

    def __init__(self, settings: RegistrarSettings, issuer: Issuer, api: Api | None) -> None:
        self._rules = Rules(
            service_account=settings.bus_service_account,
            host_prefix=settings.host_prefix,
            node_names=settings.node_names,
        )
        self._credentials = Credentials(self._rules, settings.enrolment_dir, api)
        self._lifetime_s = settings.bus_login_s
        self._issuer = issuer

    async def answer(self, text: bytes) -> bytes:
        """Answer one question of a server's."""
        asked = question(text)
        try:
            return await self._admitted(asked)
        except RefusedError as error:
            ADMITTED.labels("refused").inc()
            # The name is a stranger's words; shortened, it is safe in a log of JSON.
            log.warning(
                "bus_user.refused", user=asked.user[:300], host=asked.host, reason=str(error)
            )
            return self._issuer.refuse(asked)

    async def _admitted(self, asked: Question) -> bytes:
        who = claimed(asked.user, asked.credential, self._rules)
        by = await self._credentials.prove(who, asked.credential)
        ADMITTED.labels("admitted").inc()
        log.info("bus_user.admitted", node=who.node, role=who.role, by=by, host=asked.host)
        lifetime_s = self._lifetime_s * (1 - _SPREAD * random.random())  # noqa: S311 - no secret
        return self._issuer.admit(asked, permissions(who.role, who.node), lifetime_s)


async def open_gate(
    settings: RegistrarSettings,
    issuer_file: Path,
    bus: Bus,
    api: Api | None,
    tasks: asyncio.TaskGroup,
) -> None:
    """Answer the servers of the bus for as long as the tasks last."""
    issuer = Issuer.read(issuer_file)
    gate = Gate(settings, issuer, api)
    await bus.answer_server(tasks, ADMISSION, QUEUE, gate.answer)
    log.info("gate.opened", issuer=issuer.public)
