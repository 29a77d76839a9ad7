"""Who is let onto the bus, where the registrar is asked: nobody but a node's own services."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import nats.errors
import pytest
from e2e.api import Api
from e2e.callout import PODS, Gatehouse, machine_pod, node_of, pod_token
from registrar_peers import Executor, eventually, host_address, joined, life
from registrar_process import Registrar

from contract.codec import encode
from contract.ids import NO_NODE, NodeName
from contract.messages.form import Event, Message
from contract.messages.node import NodeBeat, ServerAnnounced
from contract.permissions import ADMISSION, user_name
from contract.subjects import ROUTES, Role, subscription_for
from controlplane import ControlPlane
from servicekit.bus import Bus, connected
from servicekit.settings import ServiceSettings

MACHINE, OTHER_MACHINE = "gate-a", "gate-b"
NODE, OTHER = node_of(MACHINE), node_of(OTHER_MACHINE)
USER, OTHER_USER = user_name(Role.WASM_EXECUTOR, NODE), user_name(Role.WASM_EXECUTOR, OTHER)
LOG_USER = user_name(Role.LOG_SERVER, NODE)
EDGE = NodeName("edge.example")
EDGE_USER = user_name(Role.WASM_EXECUTOR, EDGE)
ENROLLED = "an enrolment, long and random"
LOG_AUDIENCE = "wasmlet-log-server"


@pytest.fixture(scope="module")
def pod(api: Api) -> Iterator[str]:
    api.create("/api/v1/nodes", {"metadata": {"name": MACHINE}})
    name = machine_pod(api, MACHINE)
    yield name
    api.delete(f"{PODS}/{name}", gracePeriodSeconds=0)
    api.delete(f"/api/v1/nodes/{MACHINE}")


@pytest.fixture(scope="module")
def gate(
    control_plane: ControlPlane, api: Api, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gatehouse]:
    gate = Gatehouse(control_plane, tmp_path_factory.mktemp("gate"))
    with gate.nats:
        yield gate
    for node in (NODE, EDGE):
        api.delete(f"/api/v1/nodes/{node}")


@pytest.fixture
async def registrar(gate: Gatehouse) -> AsyncIterator[Registrar]:
    with gate.registrar() as registrar:
        await opened(registrar)
        yield registrar


async def opened(registrar: Registrar) -> None:
    async def is_open() -> bool:
        return bool(registrar.records("gate.opened"))

    await eventually(is_open)


async def test_a_pods_token_lets_in_its_machines_node_and_nobody_else(
    gate: Gatehouse, registrar: Registrar, pod: str, tmp_path: Path
) -> None:
    token = pod_token(gate.plane, pod)
    of_the_log_server = pod_token(gate.plane, pod, LOG_AUDIENCE)
    unbound = gate.plane.kubectl(
        "create", "token", "log-server", "--namespace=wasmlet-system", "--audience=wasmlet"
    ).stdout.strip()
    foreign = gate.plane.kubectl(
        "create", "token", "pod-reconciler", "--namespace=wasmlet-system", "--audience=wasmlet"
    ).stdout.strip()
    assert await gate.lets_in(USER, token)
    assert await gate.lets_in(LOG_USER, of_the_log_server)
    for user, credential in (
        (OTHER_USER, token),
        (LOG_USER, token),
        (USER, of_the_log_server),
        (USER, unbound),
        (USER, foreign),
        (USER, pod_token(gate.plane, pod, "https://kubernetes.default.svc")),
        (USER, token[:-4] + "AAAA"),
        (USER, ""),
        (USER, "guess"),
        ("wasm-executor-*", token),
        ("", token),
    ):
        assert await gate.is_refused(registrar, user, credential), (user, credential[:10])
    said = registrar.output()
    assert token not in said
    assert "guess" not in said
    reasons = {record["reason"] for record in registrar.records("bus_user.refused")}
    assert "the token is of a pod of another machine" in reasons
    file = tmp_path / "token"
    file.write_text(token)
    async with connected(settings(gate, file), Role.WASM_EXECUTOR, NODE) as bus:
        await Executor(bus, NODE).granted()


@pytest.mark.usefixtures("registrar")
async def test_no_token_stands_for_the_password_of_a_user_of_the_servers_own(
    gate: Gatehouse, pod: str
) -> None:
    """The server asks no registrar about these."""
    token, of_the_log_server = pod_token(gate.plane, pod), pod_token(gate.plane, pod, LOG_AUDIENCE)
    for user in ("node-registrar", "pod-reconciler", "log-server"):
        assert not await gate.lets_in(user, token), user
        assert not await gate.lets_in(user, of_the_log_server), user
    assert await gate.lets_in(USER, token)


async def test_an_enrolment_lets_in_one_user_until_it_is_taken_back(
    gate: Gatehouse, registrar: Registrar
) -> None:
    assert await gate.is_refused(registrar, EDGE_USER, ENROLLED)
    file = gate.enrolments / EDGE_USER
    file.write_text(hashlib.sha256(ENROLLED.encode()).hexdigest() + "\n")
    assert await gate.lets_in(EDGE_USER, ENROLLED)
    for user, credential in (
        (EDGE_USER, ENROLLED + "x"),
        (EDGE_USER, file.read_text()),
        (user_name(Role.LOG_SERVER, EDGE), ENROLLED),
        (OTHER_USER, ENROLLED),
    ):
        assert await gate.is_refused(registrar, user, credential), user
    file.unlink()
    assert await gate.is_refused(registrar, EDGE_USER, ENROLLED)


def denials(kinds: dict[type[Message], object]) -> Iterator[tuple[str, str]]:
    """What the thief of one node's executor tries: (`subscribe` or `publish`, subject)."""
    for kind in kinds:
        for node in (OTHER, NO_NODE, NodeName("*")):
            subject = subscription_for(kind, node)
            yield "subscribe", subject
            yield "publish", subject.replace("*", "x")
        route, own = ROUTES[kind], subscription_for(kind, NODE)
        if Role.WASM_EXECUTOR not in route.listeners:
            yield "subscribe", own
        if Role.WASM_EXECUTOR not in route.speakers:
            yield "publish", own.replace("*", "x")
    for subject in (">", "wasmlet.>", "$SYS.>", ADMISSION, f"_INBOX_{OTHER_USER}.>", "_INBOX.>"):
        yield "subscribe", subject
    for subject in (ADMISSION, "_INBOX_pod-reconciler.x", f"_INBOX_{OTHER_USER}.x"):
        yield "publish", subject


@pytest.mark.usefixtures("registrar")
async def test_a_stolen_executors_credential_is_worth_its_own_node_alone(
    gate: Gatehouse, pod: str
) -> None:
    denied: list[str] = []
    thief = await gate.let_in(USER, pod_token(gate.plane, pod), denied)
    for verb, subject in denials(dict.fromkeys(ROUTES)):
        before = len(denied)
        if verb == "subscribe":
            with suppress(nats.errors.Error):
                await thief.subscribe(subject)
        else:
            await thief.publish(subject, b"{}")
        await thief.flush()

        async def is_denied(before: int = before) -> bool:
            return len(denied) > before

        await eventually(is_denied)
        assert "permissions violation" in denied[-1].lower(), (verb, subject)
        assert verb[:7] in denied[-1].lower()
    assert thief.is_connected
    await thief.close()


async def test_a_forged_announcement_and_a_forged_report_are_heard_by_nobody(
    gate: Gatehouse, registrar: Registrar, pod: str
) -> None:
    heard: list[str] = []
    async with AsyncExitStack() as stack:
        reconciler = await stack.enter_async_context(joined(gate.nats, Role.POD_RECONCILER))
        for kind in ROUTES:
            if issubclass(kind, Event) and Role.POD_RECONCILER in ROUTES[kind].listeners:
                client = reconciler._control.client
                subject = subscription_for(kind, NodeName("*"))

                async def note(message: nats.aio.msg.Msg) -> None:
                    heard.append(message.subject)

                await client.subscribe(subject, cb=note)
        await reconciler._control.client.flush()
        thief = await gate.let_in(USER, pod_token(gate.plane, pod))
        for subject, payload in forgeries():
            await thief.publish(subject, payload)
        own = subscription_for(NodeBeat, NODE)
        await thief.publish(own, b"{}")  # what it may say comes through, and came last

        async def is_heard() -> bool:
            return own in heard and own in unreadable(registrar)

        await eventually(is_heard)
        assert heard == [own]
        await thief.close()
    assert unreadable(registrar) == {own}
    assert not registrar.records("address.learned")


def forgeries() -> Iterator[tuple[str, bytes]]:
    """Events that are not for an executor of this node to send: (subject, payload).

    Where a log-server listens is told as it would be believed; the rest nobody could read, and who
    hears it says so.
    """
    for node in (OTHER, NODE):
        announced = ServerAnnounced(
            node=node, address=host_address(), port=10250, certificate_sha256="ab" * 32
        )
        for kind in ROUTES:
            if issubclass(kind, Event) and (
                node == OTHER or Role.WASM_EXECUTOR not in ROUTES[kind].speakers
            ):
                payload = encode(announced) if kind is ServerAnnounced else b"{}"
                yield subscription_for(kind, node).replace("*", "uid"), payload


def unreadable(registrar: Registrar) -> set[str]:
    """The subjects of what it has heard and could not read."""
    return {record["subject"] for record in registrar.records("event.unreadable")}


async def test_without_a_registrar_nobody_new_is_let_in_and_who_is_in_stays(
    gate: Gatehouse, pod: str, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(pod_token(gate.plane, pod))
    election = {"election": "on", "election_identity": "gate"}
    async with AsyncExitStack() as stack:
        first, second = (stack.enter_context(gate.registrar(**election)) for _ in range(2))
        await opened(first)
        await opened(second)
        inside = await stack.enter_async_context(
            connected(settings(gate, token), Role.WASM_EXECUTOR, NODE)
        )
        first.kill()
        assert await gate.lets_in(USER, token.read_text()), "any replica answers"
        second.kill()
        assert not await gate.lets_in(USER, token.read_text())
        assert inside.ready
        await inside._control.client.flush()

        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(_granted_once_let_in(gate, token))
            third = stack.enter_context(gate.registrar())
            await opened(third)
            await waiting
        assert inside.ready


async def _granted_once_let_in(gate: Gatehouse, token: Path) -> None:
    """It asks from before there is anybody to answer."""
    async with connected(settings(gate, token), Role.WASM_EXECUTOR, NODE) as bus:
        await Executor(bus, NODE, life("later")).ask(timeout_s=15)


async def test_a_login_ends_and_is_renewed_with_the_token_of_that_time(
    gate: Gatehouse, pod: str, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(pod_token(gate.plane, pod))
    with gate.registrar(bus_login_s="3") as registrar:
        await opened(registrar)
        async with connected(settings(gate, token), Role.WASM_EXECUTOR, NODE) as bus:
            await _renewed(bus)
            token.write_text("no more")

            async def is_refused() -> bool:
                return bool(registrar.records("bus_user.refused")) and not bus.ready

            await eventually(is_refused)
            token.write_text(pod_token(gate.plane, pod))
            await _renewed(bus)

            async def is_back() -> bool:
                return bus.ready

            await eventually(is_back)


async def _renewed(bus: Bus) -> None:
    async with asyncio.timeout(20):
        await bus.wait_reconnected()


def settings(gate: Gatehouse, token: Path) -> ServiceSettings:
    return ServiceSettings(nats_url=gate.nats.url, nats_token_file=token)
