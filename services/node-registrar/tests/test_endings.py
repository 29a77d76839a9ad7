"""What happens between two words of others while a registrar looks which nodes have ended."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY
from registrar_endings import LATER_S, NODE, OTHER, VIEW, Registrar, looking, until
from registrar_peers import life

from contract.errors import CommandError
from contract.messages.node import NodeRelease


@pytest.fixture
async def registrar() -> AsyncIterator[Registrar]:
    async with looking() as registrar:
        yield registrar


async def test_who_is_dead_and_has_no_node_is_let_go_of_and_may_come_back(
    registrar: Registrar,
) -> None:
    await registrar.register()
    registrar.node_goes()
    await until(lambda: registrar.ledger.closed)
    assert registrar.ledger.closed == registrar.ledger.opened
    assert await registrar.has_ended()
    await registrar.register()
    assert len(registrar.ledger.opened) == 2
    assert not await registrar.has_ended()


async def test_while_the_api_server_is_away_nothing_ends_and_nothing_is_said(
    registrar: Registrar,
) -> None:
    await registrar.register()
    registrar.ledger.is_away = True
    registrar.node_goes()
    await registrar.looks()
    assert not registrar.ledger.closed
    registrar.ledger.is_away = False
    await until(lambda: registrar.ledger.closed)
    registrar.ledger.is_away = True
    with pytest.raises(CommandError, match="no answer"):
        await registrar.has_ended()


async def test_what_happens_while_healthz_is_asked_is_newer_than_its_answer(
    registrar: Registrar,
) -> None:
    await registrar.register()

    def node_is_back() -> None:
        registrar.ledger.opened[-1].node = VIEW

    for happens in (registrar.beat, node_is_back):
        registrar.prober.meanwhile = happens
        before = registrar.prober.asked
        registrar.node_goes()
        await until(lambda: registrar.prober.asked > before)  # noqa: B023 - awaited here
        assert not registrar.ledger.closed
    registrar.prober.meanwhile = None
    registrar.node_goes()
    await until(lambda: registrar.ledger.closed)


async def test_a_bus_that_was_away_until_now_lets_nobody_end(registrar: Registrar) -> None:
    await registrar.register()
    registrar.pool.bus_returned()
    registrar.node_goes()
    registrar.pool.bus_returned()
    assert not await registrar.has_ended()
    assert not await registrar.has_ended(OTHER), "it may live, and not have spoken yet"
    registrar.now_s += LATER_S
    await until(lambda: registrar.ledger.closed)
    assert await registrar.has_ended(OTHER)


async def test_who_registers_a_name_that_was_given_back_keeps_it_from_ending(
    registrar: Registrar,
) -> None:
    await registrar.register()
    await registrar.pool.release(NODE, NodeRelease(node=NODE, incarnation=life()))
    registrar.ledger.may_answer.clear()
    registrar.node_goes()
    await registrar.looks(times=1)
    asking = asyncio.create_task(registrar.register())
    await asyncio.sleep(0)  # it waits for its turn
    registrar.ledger.may_answer.set()
    await asking
    assert not registrar.ledger.closed


async def test_who_registers_while_the_node_is_let_go_of_is_told_to_ask_again(
    registrar: Registrar,
) -> None:
    await registrar.register()
    registrar.ledger.may_answer.clear()
    registrar.node_goes()
    await registrar.looks(times=1)
    asking = asyncio.create_task(registrar.register())
    await asyncio.sleep(0)  # it waits for its turn
    registrar.now_s += LATER_S
    registrar.ledger.may_answer.set()
    with pytest.raises(CommandError, match="ask again"):
        await asking
    await registrar.register()
    assert not await registrar.has_ended()


async def test_who_is_known_by_announcements_alone_is_so_while_they_come(
    registrar: Registrar,
) -> None:
    registrar.announce(OTHER)
    await registrar.register()
    registrar.node_goes()
    registrar.announce(OTHER)
    await until(lambda: registrar.ledger.closed)  # the other one was looked at before it
    assert known() == 1
    assert await registrar.has_ended(OTHER), "its log-server is to let go of it, too"
    registrar.now_s += LATER_S
    await until(lambda: known() == 0)


def known() -> float | None:
    return REGISTRY.get_sample_value("wasmlet_registrar_nodes")
