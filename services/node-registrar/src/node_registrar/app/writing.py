"""Writes one Node as it should be: creates it, corrects it, and patches its status when due.

Nothing is written for a holder that is not known to live: what the node controller then says of the
Node is true, and contradicting it would hide that.
"""

import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from contract.ids import NodeName
from kubekit.correlation import ObjectRef
from kubekit.events import EventRecorder, EventSender
from kubekit.patches import status_patch
from node_registrar.app.births import Births
from node_registrar.app.member import Member
from node_registrar.domain import conditions, readiness
from node_registrar.domain.conditions import Condition, Face
from node_registrar.domain.granting import Grant
from node_registrar.domain.hosts import beside
from node_registrar.domain.node_object import (
    address_status,
    adopted_spec,
    adoption,
    correction,
    differing,
    facts_status,
    is_rebooted,
    new_node,
    template_of,
)
from node_registrar.domain.node_view import NodeView
from node_registrar.errors import HostMissingError, NotWantedError
from node_registrar.kube import Nodes
from node_registrar.settings import RegistrarSettings

log = structlog.get_logger()


class NodeWriter:
    """Writes Nodes. Raises what the cluster answers; the caller tries again."""

    def __init__(
        self, nodes: Nodes, births: Births, settings: RegistrarSettings, events: EventSender
    ) -> None:
        self._nodes = nodes
        self._births = births
        self._leaving_keys = settings.host_leaving_taints
        self._address_type = settings.address_type
        self._template = template_of(settings)
        self._events = events
        self._report_s = settings.status_report_s

    async def create(self, member: Member, grant: Grant) -> None:
        """Create the Node, with labels, taints and the grant. Call it with the member's lock."""
        host = await self._births.host_for(member.name)
        shown = self._shown(member, {})
        status = self._told(member) | {
            "conditions": conditions.rendered(shown, {}, datetime.now(UTC))
        }
        node = new_node(member.name, self._template, grant, status)
        if host is not None:
            node = beside(node, host, self._leaving_keys)
        view = await self._nodes.create(node)
        log.info("node.created", node=member.name, uid=view.metadata.uid)
        member.adopted = True
        self._reported(member, first=True)
        member.take_node(view)
        self._say_changes(member, shown, {})

    async def record(self, member: Member, view: NodeView, annotations: Mapping[str, Any]) -> None:
        """Write annotations, and what a Node found lacks, if nobody wrote it meanwhile."""
        metadata = adoption(view, self._template)
        merged = {**metadata.get("annotations", {}), **annotations}
        written = await self._nodes.patch(
            view, metadata | {"annotations": merged}, adopted_spec(view), same_version=True
        )
        member.adopted = True
        member.take_node(written)

    async def reread(self, member: Member) -> None:
        """Learn what the API has, after it said that we are wrong about it."""
        view = await self._nodes.get(member.name)
        if view is not None:
            member.take_node(view)
        else:
            member.lose_node(member.node_uid)

    async def has_node(self, name: NodeName) -> bool:
        """Say whether the API has a Node of this name."""
        return await self._nodes.get(name) is not None

    async def sync(self, member: Member) -> None:
        """Write what differs from how the Node should be, or what is due, or nothing."""
        if member.grant.holder is None:
            return  # found, and nobody's: it may be another kubelet's
        if member.grant.in_force and not member.alive(time.monotonic()):
            return
        if member.node is None:
            await self._recreate(member)
            return
        # Status first: it is what everybody waits for.
        await self._write_status(member, member.node)
        if member.grant.in_force:
            await self._correct(member)

    def say_starting(self, node: NodeName) -> None:
        """Emit the Event with which a kubelet begins."""
        self._emit(node, "Normal", "Starting", "Starting kubelet.")

    async def _recreate(self, member: Member) -> None:
        async with member.lock:
            if member.node is None and member.grant.in_force and member.facts is not None:
                try:
                    await self.create(member, member.grant)
                except (HostMissingError, NotWantedError) as error:
                    member.complain("node.uncreated", reason=str(error))

    async def _correct(self, member: Member) -> None:
        view = member.node
        if view is None:
            return
        find = correction if member.adopted else adoption
        metadata = find(view, self._template, member.endpoint)
        if metadata:
            member.take_node(await self._nodes.patch(view, metadata, same_version=False))
        member.adopted = True

    async def _write_status(self, member: Member, view: NodeView) -> None:
        if member.grant.released:
            # As a kubelet that was stopped: the node controller misses it, and says of its pods
            # that they are not ready, which it does only where nobody else ended the readiness.
            return
        before = view.conditions()
        shown = self._shown(member, view.status.get("capacity") or {})
        changes = differing(self._told(member), view.status)
        if not changes and not conditions.differs(shown, before) and not self._is_due(member):
            return
        wanted = changes | {"conditions": conditions.rendered(shown, before, datetime.now(UTC))}
        patch = status_patch(view.metadata.uid, view.status, wanted)
        if patch is None:
            return
        written = await self._nodes.patch_status(member.name, patch)
        self._reported(member)
        member.take_node(written)
        self._say_changes(member, shown, before)
        if member.facts is not None and is_rebooted(view, member.facts):
            text = f"Node {member.name} has been rebooted, boot id: {member.facts.boot_id}"
            self._emit(member.name, "Warning", "Rebooted", text)

    def _told(self, member: Member) -> dict[str, Any]:
        """Return what executor and log-server told, as status."""
        told: dict[str, Any] = {}
        if member.facts is not None:
            told |= facts_status(member.facts, self._template)
        if member.endpoint is not None:
            told |= address_status(member.name, member.endpoint, self._address_type)
        return told

    def _shown(self, member: Member, capacity: Mapping[str, Any]) -> dict[str, Face]:
        told = self._told(member)
        problems = readiness.problems(
            shutting_down=member.shutting_down,
            endpoint=member.endpoint,
            refusal=member.endpoint_refusal,
            capacity=told.get("capacity", capacity),
        )
        return conditions.faces(member.pressures, tuple(problems))

    def _say_changes(
        self, member: Member, shown: Mapping[str, Face], before: Mapping[str, Condition]
    ) -> None:
        for happening in conditions.happenings(shown, before, member.name):
            log.info("node.changed", node=member.name, to=happening.reason)
            self._emit(member.name, "Normal", happening.reason, happening.message)

    def _emit(self, node: NodeName, type_: str, reason: str, message: str) -> None:
        # As from the kubelet, the reference's UID is the name: `kubectl describe` looks for that.
        ref = ObjectRef(kind="Node", name=node, uid=node)
        EventRecorder(self._events, host=node).emit(ref, type_, reason, message)

    def _is_due(self, member: Member) -> bool:
        if member.report_due_at is None:  # found, not written yet: a restart is no news
            self._reported(member, first=True)
        return member.report_due_at is not None and time.monotonic() >= member.report_due_at

    def _reported(self, member: Member, *, first: bool = False) -> None:
        # Many Nodes that start together must not report together for ever.
        share = 0.5 + random.random() if first else 1.0  # noqa: S311 - no secret
        member.report_due_at = time.monotonic() + share * self._report_s
