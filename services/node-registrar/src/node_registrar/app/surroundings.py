"""What the pool acts through, and what it needs of the place where grants are written down."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import NamedTuple, Protocol

from contract.ids import NodeName
from kubekit.leadership import Leadership
from node_registrar.app.member import Member
from node_registrar.app.publishing import Publisher
from node_registrar.bus import Voice
from node_registrar.domain.granting import Grant
from node_registrar.healthz import HealthProber


class Ledger(Protocol):
    """Where grants are written down."""

    @property
    def believes_beats(self) -> bool:
        """Whether a beat alone shows who was granted, because nothing is written down."""
        ...

    async def open(self, member: Member) -> None:
        """Learn what is recorded of a node, and begin to keep it."""
        ...

    async def record(self, member: Member, grant: Grant) -> None:
        """Write a grant down; `member.grant` is the one that it replaces.

        Raises `GrantMovedError` when another one is recorded, with that one in the member.
        """
        ...

    async def has_node(self, name: NodeName) -> bool:
        """Say whether there is such a node to write into, whoever holds it."""
        ...

    def close(self, member: Member) -> None:
        """Keep a node no longer: it has ended."""
        ...


class Surroundings(NamedTuple):
    """What the pool acts through."""

    leadership: Leadership
    voice: Voice
    publisher: Publisher
    prober: HealthProber
    tasks: asyncio.TaskGroup
    clock: Callable[[], float] = time.monotonic

    def spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        """Do this beside everything else, as a task of the leadership; not after its end."""
        try:
            self.tasks.create_task(work, name=name)
        except RuntimeError:
            work.close()
