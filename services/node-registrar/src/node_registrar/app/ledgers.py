"""Where grants are written down: nowhere in static mode, else in the Node itself.

The annotation is written by compare-and-swap on the Node's version, so that of two registrars that
both believe to lead one is refused, reads again, and finds the other's grant.
"""

import asyncio
import time
from typing import Final

from contract.ids import NodeName
from kubekit.errors import ConflictError, NotFoundError
from node_registrar.app.member import Member
from node_registrar.app.upkeep import Upkeep
from node_registrar.app.writing import NodeWriter
from node_registrar.domain.conditions import READY
from node_registrar.domain.granting import Grant, annotations_of, grant_of
from node_registrar.domain.node_object import endpoint_of, is_foreign
from node_registrar.domain.node_view import NodeView
from node_registrar.domain.readiness import tells_of_shutdown
from node_registrar.domain.shown_facts import shown_facts
from node_registrar.errors import ForeignNodeError, GrantMovedError

STATIC_HOST_IP: Final = "127.0.0.1"
_TRIES: Final = 5


class StaticLedger:
    """Static mode: grants live as long as this process, and the next one hears them from beats."""

    believes_beats: Final = True

    async def open(self, member: Member) -> None:
        """There is nothing to learn; pods are on this machine."""
        member.host_ip = STATIC_HOST_IP

    async def record(self, member: Member, grant: Grant) -> None:
        """Nothing to write."""

    async def has_node(self, name: NodeName) -> bool:
        """Nothing says that one is gone."""
        del name
        return True

    def close(self, member: Member) -> None:
        """Nothing is kept."""


class NodeLedger:
    """Grants in Node annotations; what it opens it keeps, in tasks of its own."""

    believes_beats: Final = False

    def __init__(self, writer: NodeWriter, upkeep: Upkeep, tasks: asyncio.TaskGroup) -> None:
        self._writer = writer
        self._upkeep = upkeep
        self._tasks = tasks
        self._keeping: dict[NodeName, asyncio.Task[None]] = {}

    async def open(self, member: Member) -> None:
        """Read the Node, if there is one, and begin to keep it."""
        await self._writer.reread(member)
        if member.node is not None:
            self._learn(member, grant_of(member.node.metadata.annotations), member.node)
        keeping = self._tasks.create_task(self._upkeep.keep(member), name=f"keep-{member.name}")
        self._keeping[member.name] = keeping

    async def has_node(self, name: NodeName) -> bool:
        """Ask the API server."""
        return await self._writer.has_node(name)

    def close(self, member: Member) -> None:
        """End its tasks, of which none has anything left to write."""
        keeping = self._keeping.pop(member.name, None)
        if keeping is not None:
            keeping.cancel()

    async def record(self, member: Member, grant: Grant) -> None:
        """Create the Node with this grant, or write it into the one that is there."""
        for _ in range(_TRIES):
            try:
                await self._write(member, grant)
                return
            except (ConflictError, NotFoundError):
                await self._reread(member)
        raise GrantMovedError(f"node {member.name} is written by others all the time")

    async def _write(self, member: Member, grant: Grant) -> None:
        is_new = member.grant.holder != grant.holder
        if member.node is None:
            await self._writer.create(member, grant)
        elif is_new and is_foreign(member.node):
            raise ForeignNodeError(member.name, member.node.kubelet_version)
        else:
            await self._writer.record(member, member.node, annotations_of(grant))
        if is_new:
            self._writer.say_starting(member.name)

    async def _reread(self, member: Member) -> None:
        await self._writer.reread(member)
        if member.node is None:
            return
        recorded = grant_of(member.node.metadata.annotations)
        if recorded.holder is not None and recorded != member.grant:
            self._learn(member, recorded, member.node)
            raise GrantMovedError(f"node {member.name} records another holder")

    def _learn(self, member: Member, recorded: Grant, view: NodeView) -> None:
        member.grant, member.shown_facts = recorded, shown_facts(view)
        # A holder that could not be heard yet is not silent yet.
        member.learned_at = time.monotonic()
        member.shutting_down = tells_of_shutdown(view.conditions().get(READY, {}))
        if member.endpoint is None and (endpoint := endpoint_of(view)) is not None:
            member.endpoint = endpoint
            member.host_ip = endpoint.address
