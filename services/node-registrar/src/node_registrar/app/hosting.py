"""Lets a Wasm Node follow the machine's own Node, and holds that one while there are pods.

Two tasks per node: one follows the host's object, one writes what follows from it. A Node that
stands alone has neither.
"""

import asyncio

import structlog

from contract.ids import NodeName
from kubekit.changes import Change, Deleted, Synced
from kubekit.errors import ConflictError, NotFoundError
from kubekit.listing import Source
from kubekit.reflector import Reflector
from node_registrar.app.member import Member
from node_registrar.app.turns import again
from node_registrar.domain.granting import INCARNATION
from node_registrar.domain.hosts import changes_of, hold_of, host_name, is_host
from node_registrar.domain.node_view import HostView, NodeView, decode_host
from node_registrar.kube import NODES, Cluster, Nodes
from node_registrar.settings import RegistrarSettings

log = structlog.get_logger()


class Hosting:
    """Starts the tasks of each node that stands beside another."""

    def __init__(self, settings: RegistrarSettings, cluster: Cluster, nodes: Nodes) -> None:
        self._settings = settings
        self._cluster = cluster
        self._nodes = nodes

    def begin(self, tasks: asyncio.TaskGroup, member: Member) -> None:
        """Follow the host of this node, if it has one, until the group ends."""
        name = host_name(member.name, self._settings.host_prefix)
        if name is None:
            return
        tasks.create_task(self._follow(member, name), name=f"follow-host-{member.name}")
        turns = again(
            lambda: self._turn(member),
            member.host_wake,
            self._settings.status_interval_s,
            "host",
        )
        tasks.create_task(turns, name=f"host-{member.name}")

    async def _follow(self, member: Member, name: str) -> None:
        async def deliver(change: Change[HostView]) -> None:
            match change:
                case Synced():
                    return
                case Deleted():
                    log.warning("host.deleted", node=member.name, host=name)
                    member.host = None
                case _:
                    member.host = change.object
                    member.host_wake.set()

        source = Source(path=NODES, field_selector=f"metadata.name={name}")
        await Reflector(self._cluster.api, source, decode=decode_host, deliver=deliver).run()

    async def _turn(self, member: Member) -> None:
        view, host = member.node, member.host
        if view is None or host is None or not is_host(host):
            return
        if INCARNATION not in view.metadata.annotations:
            return  # found, and nobody's: it may be another kubelet's
        try:
            await self._let_follow(member, view, host)
            await self._hold(member, host)
        except (ConflictError, NotFoundError):
            await self._reread(member, host)
            raise

    async def _let_follow(self, member: Member, view: NodeView, host: HostView) -> None:
        metadata, spec = changes_of(view, host, self._settings.host_leaving_taints)
        if not metadata and not spec:
            return
        member.take_node(await self._nodes.patch(view, metadata, spec, same_version=True))
        log.info("node.followed", node=member.name, host=host.metadata.name, spec=sorted(spec))

    async def _hold(self, member: Member, host: HostView) -> None:
        if self._settings.hold_hosts and member.pods is None:
            return  # nothing was heard yet: neither hold nor let go
        busy = self._settings.hold_hosts and bool(member.pods)
        annotations = hold_of(host, busy=busy)
        if annotations:
            member.host = await self._nodes.annotate_host(host, annotations)
            log.info("host.held" if busy else "host.released", host=host.metadata.name)

    async def _reread(self, member: Member, host: HostView) -> None:
        view = await self._nodes.get(member.name)
        if view is not None:
            member.take_node(view)
        found = await self._nodes.get_host(_name(host))
        if found is not None:
            member.host = found


def _name(host: HostView) -> NodeName:
    return NodeName(host.metadata.name)
