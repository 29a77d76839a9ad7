"""One NATS connection: opened with patience, watched, drained with a time limit."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import msgspec
import nats.aio.client
import nats.errors
import structlog
from nats.aio.client import Client
from prometheus_client import Counter

from servicekit.errors import BusClosedError
from servicekit.settings import ServiceSettings

log = structlog.get_logger()

READ_BYTES = 256 * 1024
"""What one read of a connection may bring: a chunk of a stream. The library's 32 KiB make it eight
turns of the loop, and a stream a third slower. It reads this name at each use."""
nats.aio.client.DEFAULT_BUFFER_SIZE = READ_BYTES

RECONNECT_WAIT_S = 0.25
REFUSED_WAIT_S = 2.0
"""After a refusal that may pass: the registrar is away, or does not know this node yet; or the CA's
file is not that of the server's certificate, which is read anew until the first connection."""
CONNECT_TIMEOUT_S = 5
"""More than the server gives its auth callout."""
DRAIN_TIMEOUT_S = 2

SLOW_CONSUMER = Counter(
    "wasmlet_bus_slow_consumer", "Messages dropped because a subscription's queue was full."
)


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Who connects. A password that is a function is asked for at each connection."""

    user: str
    inbox: str
    password: str | Callable[[], str] | None = None
    patient: bool = False
    """Whether a refusal is tried again."""


def _is_refusal(error: BaseException) -> bool:
    return "authorization violation" in str(error).lower()


class _CarefulClient(Client):
    """nats-py, where a login may end by time, or be decided upon only after a while."""

    async def _process_err(self, err_msg: str) -> None:
        """Connect anew when the login has ended by time; nats-py would close for good."""
        if "authentication expired" in err_msg.lower():
            await self._process_op_err(nats.errors.StaleConnectionError())
            return
        await super()._process_err(err_msg)

    async def _process_connect_init(self) -> None:
        """Leave nothing behind where nobody is let in.

        A server that takes long to decide sends its first PING before its verdict, which nats-py
        takes for neither yes nor no: it would go on, connected to nothing. Who was let in before
        and is refused now asks again at the pace of a refusal, not of a server that is away.
        """
        again = self.is_reconnecting
        try:
            await super()._process_connect_init()
            self._refuse_silence()
        except BaseException as error:
            for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
                if task is not None:
                    task.cancel()
            if self._transport is not None:
                self._transport.close()  # type: ignore[no-untyped-call]  # untyped there
            if isinstance(error, ssl.SSLError):
                # Of a handshake that failed nobody hears the end, for which nats-py would wait.
                self._transport = None
            if again and (_is_refusal(error) or isinstance(error, ssl.SSLError)):
                await asyncio.sleep(REFUSED_WAIT_S)
            raise

    def _refuse_silence(self) -> None:
        if not self.is_connected:
            raise nats.errors.Error("nats: the server did not say whether we are let in")


class Connection:
    """A NATS client with its life as awaitable events."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.client: Client = _CarefulClient()
        self._closed = asyncio.Event()
        self._refused = asyncio.Event()
        self._untrusted: ssl.SSLError | None = None
        self._reconnected = asyncio.Event()
        self._draining = False

    async def wait_closed(self) -> None:
        """Raise `BusClosedError` when the client has given up."""
        await self._closed.wait()
        raise BusClosedError(f"the {self.name} connection to NATS is closed for good")

    async def wait_reconnected(self) -> None:
        """Return at the next reconnect."""
        self._reconnected.clear()
        await self._reconnected.wait()

    async def open(self, settings: ServiceSettings, login: Login) -> None:
        """Connect once; raises what nats-py raises, `BusClosedError` for a refused user.

        nats-py would go on for ever with a wrong password, or a CA that is not the server's.
        """
        tls = None
        if settings.nats_ca_file is not None:
            tls = ssl.create_default_context(cafile=str(settings.nats_ca_file))
        async with asyncio.TaskGroup() as tasks:
            refusal = tasks.create_task(self._raise_when_refused(login.user), name="bus-refusal")
            await self._connect(settings, login, tls)
            refusal.cancel()

    async def _raise_when_refused(self, user: str) -> None:
        await self._refused.wait()
        if self._untrusted is not None:
            raise self._untrusted
        raise BusClosedError(f"NATS refuses user {user}")

    async def _connect(
        self, settings: ServiceSettings, login: Login, tls: ssl.SSLContext | None
    ) -> None:
        await self.client.connect(
            settings.nats_url.split(","),
            name=f"{login.user}/{self.name}",
            user=login.user if login.password is not None else None,
            password=login.password,
            inbox_prefix=login.inbox,
            tls=tls,
            connect_timeout=CONNECT_TIMEOUT_S if login.patient else 2,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # used as a float
            ping_interval=10,
            drain_timeout=DRAIN_TIMEOUT_S,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed,
        )

    async def close(self) -> None:
        """Send what is buffered, if the server is there, and close."""
        self._draining = True
        with suppress(nats.errors.Error, TimeoutError, OSError):
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                await self.client.drain()
        if not self.client.is_closed:
            # The client flushes into a transport that has closed: RuntimeError is what uvloop makes
            # of that, TypeError asyncio's own loop.
            with (
                suppress(nats.errors.Error, TimeoutError, OSError, RuntimeError, TypeError),
                _others_cancellation_absorbed(),
            ):
                await self.client.close()

    async def _on_error(self, error: Exception) -> None:
        if isinstance(error, nats.errors.SlowConsumerError):
            SLOW_CONSUMER.inc()
        if isinstance(error, ssl.SSLError):
            self._untrusted = error
        if self._untrusted is error or _is_refusal(error):
            self._refused.set()
        log.warning("bus.failed", connection=self.name, reason=str(error) or repr(error))

    async def _on_disconnected(self) -> None:
        if not self._draining:
            log.warning("bus.disconnected", connection=self.name)

    async def _on_reconnected(self) -> None:
        log.info("bus.reconnected", connection=self.name)
        self._reconnected.set()

    async def _on_closed(self) -> None:
        if not self._draining:
            self._closed.set()


@contextmanager
def _others_cancellation_absorbed() -> Iterator[None]:
    """Let a `CancelledError` that is not meant for this task end the body as if it had returned.

    Where the server has just gone, the client's own task waits for the old transport to close. The
    client's `close` cancels that task, and with it the future for which it then waits itself.
    """
    task = asyncio.current_task()
    asked = 0 if task is None else task.cancelling()
    try:
        yield
    except asyncio.CancelledError:
        if task is None or task.cancelling() > asked:
            raise


@asynccontextmanager
async def connect(settings: ServiceSettings, login: Login, name: str) -> AsyncIterator[Connection]:
    """Open one connection, trying until the server is there; drain it at the end.

    Raises `BusClosedError` where the server is there and refuses the user, if that does not pass.
    """
    connection = Connection(name)
    while True:
        pause_s = RECONNECT_WAIT_S
        try:
            await connection.open(settings, login)
            break
        except* BusClosedError as group:
            await connection.close()
            if not login.patient:
                raise group.exceptions[0] from None
            log.warning("bus.refused", connection=name, user=login.user)
            pause_s = REFUSED_WAIT_S
        except* ssl.SSLError as group:
            log.warning("bus.tls_failed", connection=name, reason=str(group.exceptions[0]))
            pause_s = REFUSED_WAIT_S
        except* (nats.errors.Error, OSError, TimeoutError) as group:
            log.warning("bus.unreachable", connection=name, reason=repr(group.exceptions[0]))
        await asyncio.sleep(pause_s)
        connection = Connection(name)
    try:
        yield connection
    finally:
        await connection.close()
