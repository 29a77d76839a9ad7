"""The bus as a service sees it: typed events and commands over two NATS connections.

Control messages and bulk streams have a connection each, so that a large `kubectl logs` never
delays a heartbeat. The client reconnects for ever; closed for good, it ends the process. A publish
that would exceed the server's limit is refused here, because the server would answer it by closing
the connection for good. What is sent within a traced step carries that step in its headers, and
what a message causes here goes on with it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from prometheus_client import Counter

from contract.codec import decode, encode
from contract.errors import CommandError, ContractError, PayloadTooLargeError
from contract.ids import NodeName
from contract.messages.form import Command, Event, Message
from contract.permissions import inbox_prefix, user_name
from contract.subjects import ROUTES, Role, parse, subject_of, subscription_for
from servicekit.connecting import Connection, Login, connect
from servicekit.errors import BusUnavailableError
from servicekit.settings import ServiceSettings
from servicekit.tracing import NO_TRACER, Tracer, current

log = structlog.get_logger()

ERROR_HEADER = "Nats-Service-Error"
CODE_HEADER = "Nats-Service-Error-Code"
HEADER_ALLOWANCE_BYTES = 1024
"""Room for the headers that the payload limit counts too."""

_ENDING = "this service is ending"
_UNREADABLE_ANSWER = 502

UNREADABLE = Counter(
    "wasmlet_bus_unreadable_messages", "Messages that were not what their subject promises."
)

type Handler[C, R] = Callable[[NodeName, C], Awaitable[R]]
type Listener[E] = Callable[[NodeName, E], None]
type Answerer = Callable[[bytes], Awaitable[bytes]]


class Bus:
    """One service on the bus. Made by `connected`."""

    def __init__(
        self, control: Connection, streams: Connection, tracer: Tracer = NO_TRACER
    ) -> None:
        self._control = control
        self._streams = streams
        self.tracer = tracer

    @property
    def ready(self) -> bool:
        """Whether both connections stand at this moment."""
        return self._control.client.is_connected and self._streams.client.is_connected

    async def wait_closed(self) -> None:
        """Raise `BusClosedError` when a connection is closed for good. Run it as a task."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._control.wait_closed(), name="bus-control-closed")
            tasks.create_task(self._streams.wait_closed(), name="bus-streams-closed")

    async def wait_reconnected(self) -> None:
        """Return at the next reconnect of the control connection."""
        await self._control.wait_reconnected()

    async def publish(self, node: NodeName, event: Event) -> None:
        """Publish an event. Buffered while the server is away; raises `BusUnavailableError` when
        the buffer is full, `PayloadTooLargeError` before anything is sent.
        """
        subject = subject_of(event, node)
        payload = self._checked(subject, encode(event))
        try:
            await self._control.client.publish(subject, payload, headers=current().headers)
        except nats.errors.Error as error:
            raise BusUnavailableError(f"{subject}: {_text(error)}") from error

    async def request[R: Message](
        self, node: NodeName, command: Command[R], *, timeout_s: float = 5.0, stream: bool = False
    ) -> R:
        """Send a command and return its answer.

        Raises `CommandError` with the peer's code and text, or 502 where nobody can read them,
        `BusUnavailableError` when no answer came in time (the command may still arrive later),
        `PayloadTooLargeError` and `InvalidTokenError` unsent.
        """
        subject = subject_of(command, node)
        payload = self._checked(subject, encode(command))
        client = self._connection(stream).client
        try:
            answer = await client.request(
                subject, payload, timeout=timeout_s, headers=current().headers
            )
        except (nats.errors.Error, TimeoutError) as error:
            raise BusUnavailableError(f"{subject}: {_text(error)}") from error
        reply = ROUTES[type(command)].reply
        assert reply is not None
        return _read(reply, answer)  # type: ignore[return-value]  # the table pairs command and reply

    async def listen[E: Event](
        self, kind: type[E], node: NodeName, listener: Listener[E], *, pending: int = 65536
    ) -> Subscription:
        """Call `listener` with each event, in order. It must not block: put the event in a queue.

        An event that cannot be read is counted and dropped. `pending` bounds what may wait.
        """

        async def receive(message: Msg) -> None:
            try:
                event = decode(kind, message.data)
                with self.tracer.arrived(message.headers):
                    listener(parse(message.subject).node, event)
            except ContractError as error:
                UNREADABLE.inc()
                log.warning("event.unreadable", subject=message.subject, reason=str(error))

        return await self._control.client.subscribe(
            subscription_for(kind, node), cb=receive, pending_msgs_limit=pending
        )

    async def serve[C: Command[Message], R: Message](
        self,
        tasks: asyncio.TaskGroup,
        kind: type[C],
        node: NodeName,
        handler: Handler[C, R],
        *,
        id: str = "*",  # noqa: A002 - the subject form's own word
        stream: bool = False,
    ) -> Subscription:
        """Answer each command of a kind, side by side, until the returned subscription ends.

        What the handler raises as `CommandError` is the answer; anything else is a 500 and a log
        line, and a handler that is cancelled with its group leaves a 503: every request that was
        delivered gets an answer, if the subscription ends by `ending.end`.
        """

        async def receive(message: Msg) -> None:
            answering = self._answer(kind, handler, message)
            try:
                tasks.create_task(answering, name=f"serve-{kind.__name__}")
            except RuntimeError:  # the group is ending; whoever comes next may be asked
                answering.close()
                await _refuse(message, 503, _ENDING)

        client = self._connection(stream).client
        return await client.subscribe(subscription_for(kind, node, id), cb=receive)

    async def answer_server(
        self, tasks: asyncio.TaskGroup, subject: str, queue: str, answerer: Answerer
    ) -> Subscription:
        """Answer what the NATS server itself asks; one of those who share the queue is asked.

        What the answerer raises is logged, and the server, without an answer, refuses.
        """

        async def answer(message: Msg) -> None:
            try:
                await _send(message, await answerer(message.data), None)
            except Exception:
                log.exception("question.crashed", subject=subject)

        async def receive(message: Msg) -> None:
            tasks.create_task(answer(message), name="answer-server")

        return await self._control.client.subscribe(subject, queue=queue, cb=receive)

    async def _answer[C: Command[Message], R: Message](
        self, kind: type[C], handler: Handler[C, R], message: Msg
    ) -> None:
        try:
            address = parse(message.subject)
            command = decode(kind, message.data)
            if address.id != command.subject_id():
                raise CommandError(400, "the message is not of its subject's id")  # noqa: TRY301 - one place answers
            with self.tracer.arrived(message.headers):
                reply = await handler(address.node, command)
            payload = self._checked(message.reply, encode(reply))
        except CommandError as error:
            await _refuse(message, error.code, error.message)
        except ContractError as error:
            UNREADABLE.inc()
            await _refuse(message, 400, str(error))
        except asyncio.CancelledError:
            await _refuse(message, 503, _ENDING)
            raise
        except Exception:
            log.exception("command.crashed", subject=message.subject)
            await _refuse(message, 500, "internal error")
        else:
            await _send(message, payload, None)

    def _connection(self, stream: bool) -> Connection:  # noqa: FBT001 - which of two
        return self._streams if stream else self._control

    def _checked(self, subject: str, payload: bytes) -> bytes:
        limit = self._control.client.max_payload - HEADER_ALLOWANCE_BYTES
        if len(payload) > limit:
            raise PayloadTooLargeError(subject, len(payload), limit)
        return payload


def _read(reply: type[Message], answer: Msg) -> Message:
    """Return what a peer answered. Whatever it sends, its asker fails with a `CommandError`."""
    headers = answer.headers or {}
    try:
        if ERROR_HEADER not in headers:
            return decode(reply, answer.data)
        code = int(headers.get(CODE_HEADER, "500"))
    except (ContractError, ValueError) as error:
        UNREADABLE.inc()
        raise CommandError(_UNREADABLE_ANSWER, f"the answer is unreadable: {error}") from error
    raise CommandError(code, headers[ERROR_HEADER])


async def _refuse(message: Msg, code: int, text: str) -> None:
    line = " ".join(text.split())[: HEADER_ALLOWANCE_BYTES // 2]
    await _send(message, b"", {ERROR_HEADER: line, CODE_HEADER: str(code)})


async def _send(message: Msg, payload: bytes, headers: dict[str, str] | None) -> None:
    if not message.reply:
        return
    try:
        await message._client.publish(message.reply, payload, headers=headers)  # noqa: SLF001 - Msg.respond takes no headers
    except nats.errors.Error as error:
        log.warning("answer.lost", subject=message.subject, reason=_text(error))


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


@asynccontextmanager
async def connected(
    settings: ServiceSettings,
    role: Role,
    node: NodeName | None = None,
    *,
    tracer: Tracer = NO_TRACER,
) -> AsyncIterator[Bus]:
    """Connect a service's NATS user, and drain both connections at the end.

    Waits for the first connection as long as it takes, saying so in the log.
    """
    login = _login(settings, role, node)
    async with (
        connect(settings, login, "control") as control,
        connect(settings, login, "streams") as streams,
    ):
        yield Bus(control, streams, tracer)


def _login(settings: ServiceSettings, role: Role, node: NodeName | None) -> Login:
    user = user_name(role, node)
    inbox, token_file = inbox_prefix(user), settings.nats_token_file
    if token_file is not None:
        return Login(user=user, inbox=inbox, password=lambda: _token(token_file), patient=True)
    return Login(user=user, inbox=inbox, password=_password(settings.nats_password_file))


def _password(file: Path | None) -> str | None:
    return None if file is None else file.read_text().strip()


def _token(file: Path) -> str:
    """Return what the file holds now. Without it nobody is let in, and it is tried again."""
    try:
        return file.read_text().strip()
    except OSError as error:
        log.warning("token.unreadable", file=str(file), reason=str(error))
        return "none"


__all__ = ["Bus", "Client", "connected"]
