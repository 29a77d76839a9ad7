"""When a registrar says that a node has ended, and when it does not though all it asked said so."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from registrar_endings import LATER_S, NODE, OTHER, SETTINGS, Registrar, looking, until

from contract.errors import CommandError
from contract.messages.node import NodeCheck
from node_registrar.settings import RegistrarSettings


@pytest.fixture
async def registrar() -> AsyncIterator[Registrar]:
    async with looking() as registrar:
        yield registrar


async def test_who_registers_while_the_api_server_is_asked_has_not_ended(
    registrar: Registrar,
) -> None:
    registrar.now_s += LATER_S
    assert await registrar.has_ended()
    registrar.ledger.may_answer.clear()
    checking = asyncio.create_task(registrar.has_ended())
    await registrar.looks(times=1)
    await registrar.register()
    registrar.ledger.may_answer.set()
    assert not await checking


async def test_who_is_being_met_has_not_ended_however_long_that_takes(
    registrar: Registrar,
) -> None:
    registrar.ledger.may_open.clear()
    asking = asyncio.create_task(registrar.register())
    await until(lambda: registrar.ledger.opened)
    registrar.now_s += LATER_S
    assert not await registrar.has_ended()
    registrar.ledger.may_open.set()
    await asking
    assert not await registrar.has_ended()


async def test_of_a_node_that_ends_while_grants_are_said_nothing_is_said(
    registrar: Registrar,
) -> None:
    await registrar.register(OTHER)
    await registrar.register()
    registrar.voice.said.clear()
    registrar.voice.may_say.clear()
    saying = asyncio.create_task(registrar.pool.publish_all())
    await until(lambda: registrar.voice.said)
    registrar.node_goes()
    await until(lambda: registrar.ledger.closed)
    registrar.voice.may_say.set()
    await saying
    assert registrar.voice.said == [OTHER]


async def test_who_leads_no_more_when_the_api_server_has_answered_says_nothing(
    registrar: Registrar,
) -> None:
    registrar.now_s += LATER_S
    registrar.ledger.may_answer.clear()
    checking = asyncio.create_task(registrar.has_ended())
    await registrar.looks(times=1)
    registrar.leadership.is_over = True
    registrar.ledger.may_answer.set()
    with pytest.raises(CommandError, match="another one leads"):
        await checking


async def test_a_registrar_that_is_over_says_nothing(registrar: Registrar) -> None:
    registrar.now_s += LATER_S
    with registrar.pool:
        assert await registrar.has_ended()
    with pytest.raises(CommandError, match="leads no more"):
        await registrar.has_ended()


async def test_nothing_is_said_of_a_name_that_is_not_this_registrars() -> None:
    settings = RegistrarSettings(lease_s=SETTINGS.lease_s, node_names=(NODE,))
    async with asyncio.TaskGroup() as tasks:
        registrar = Registrar(tasks, settings)
        registrar.now_s += LATER_S
        assert await registrar.has_ended()
        with pytest.raises(CommandError, match=f"{OTHER} is no node"):
            await registrar.has_ended(OTHER)
        with pytest.raises(CommandError, match=f"{OTHER} is no node"):
            await registrar.pool.check(NODE, NodeCheck(node=OTHER))
