"""How often a replica looks at the Lease: a leader renews, and who waits looks more often."""

import asyncio
from itertools import pairwise
from statistics import median

from kubekit.client import connected
from kubekit.election import Elector
from kubekit.kubeconfig import Connection
from kubekit.leases import Timing
from kubekit.testing import RecordedServer, Reply, json_reply, status_reply, until

META = {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}


def lease(version: int, holder: str = "") -> Reply:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": str(version)}
    return json_reply({"metadata": META | {"resourceVersion": str(version)}, "spec": spec})


def gaps(server: RecordedServer, kind: str) -> list[float]:
    return [after.at - before.at for before, after in pairwise(server.of(kind))]


async def test_who_waits_looks_more_often_than_a_leader_renews(server: RecordedServer) -> None:
    """A Lease that is given back leaves nobody leading until somebody looks."""
    async with connected(Connection(server=server.url), user_agent="t") as api:
        timing = Timing(retry_period_s=0.4)
        elector = Elector(api, namespace="ns", name="l", identity="me", timing=timing)
        held = [lease(1, "other") for _ in range(4)]
        server.will("get", *held, lease(2))
        server.will("PATCH", *[lease(version, elector.identity) for version in range(3, 12)])
        async with asyncio.TaskGroup() as tasks:
            campaign = tasks.create_task(elector.run())
            await until(lambda: len(server.of("PATCH")) == 5)
            campaign.cancel()
    assert median(gaps(server, "get")) < median(gaps(server, "PATCH")[:4])


async def test_who_was_outrun_looks_as_often_as_who_waits(server: RecordedServer) -> None:
    """A conflict is an answer, too: only a server that gives none is left alone for longer."""
    async with connected(Connection(server=server.url), user_agent="t") as api:
        timing = Timing(retry_period_s=0.4)
        elector = Elector(api, namespace="ns", name="l", identity="me", timing=timing)
        rounds = range(1, 6)
        server.will("get", *[each for n in rounds for each in (lease(n), lease(n, "other"))])
        server.will("PATCH", *[status_reply(409, "Conflict") for _ in rounds])
        server.will("get", lease(6))
        server.will("PATCH", *[lease(version, elector.identity) for version in range(7, 16)])
        async with asyncio.TaskGroup() as tasks:
            campaign = tasks.create_task(elector.run())
            await until(lambda: len(server.of("PATCH")) == 2 * len(rounds))
            campaign.cancel()
    between = gaps(server, "PATCH")
    assert median(between[: len(rounds)]) < median(between[len(rounds) :])
