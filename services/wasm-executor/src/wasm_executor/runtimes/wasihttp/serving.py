"""One worker: a loop over its connections, and the handlers that run between its turns.

One thread leads: it waits for sockets, and runs the handler of a request that is there, itself;
so a request costs no switch between threads. A handler that has to wait gives the lead to another
thread first and is an ordinary thread from then on. Handlers that only compute therefore run one
after another, in the order in which requests came, and those that wait do so side by side.
"""

import os
import select
import socket
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NoReturn

from wasm_executor.container.plan import HttpPlan
from wasm_executor.runtimes.wasihttp.connection import Connection, Request
from wasm_executor.runtimes.wasihttp.errors import StreamClosedError
from wasm_executor.runtimes.wasihttp.exchange import Exchange, Handling
from wasm_executor.runtimes.wasihttp.overdue import Watch
from wasm_executor.runtimes.wasihttp.responding import whole

ACCEPTED_AT_ONCE: Final = 16
LOOK_S: Final = 1.0
"""How often connections are looked through for those that have had their time."""
LINGER_S: Final = 2.0
"""How long a client that is answered may go on sending."""
DRAIN_IDLE_S: Final = 0.5
"""How long a drain waits for a request that is on its way over an idle connection."""


class Worker:
    """Serves listeners until it is told to drain, by the end of `control`."""

    def __init__(
        self, handlers: Handling, plan: HttpPlan, listeners: Sequence[int], control: int
    ) -> None:
        self._handlers = handlers
        self._plan = plan
        self._listeners = [socket.socket(fileno=fd) for fd in listeners]
        self._control = control
        self._epoll = select.epoll()
        self._idle: dict[int, Connection] = {}
        """Between requests, or with part of a head: the loop's."""
        self._lingering: dict[int, tuple[Connection, float]] = {}
        self._running = 0
        self._draining_since: float | None = None
        self._looked_at = time.monotonic()
        self._followers = threading.Condition()
        self._lead_free = False
        self._following = 0
        self._leader = 0
        self._watch = Watch()

    def run(self) -> NoReturn:
        for each in self._listeners:
            each.setblocking(False)
            self._epoll.register(each, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        self._epoll.register(self._control, select.EPOLLIN)
        self._lead()
        while True:
            self._follow()

    # Leading

    def _follow(self) -> None:
        """Wait until the lead is free, and take it."""
        with self._followers:
            self._following += 1
            while not self._lead_free:
                self._followers.wait()
            self._lead_free = False
            self._following -= 1
        self._lead()

    def _live(self) -> NoReturn:
        while True:
            self._follow()

    def _lead(self) -> None:
        """Turn the loop until the lead is given away."""
        own = self._leader = threading.get_ident()
        while self._leader == own:
            for fd, _ in self._epoll.poll(self._pause_s()):
                self._meet(fd)
                if self._leader != own:
                    return  # the other events are there for the next leader, too
            self._look()

    def _give_lead(self) -> None:
        """Called by a handler that has to wait."""
        if self._leader != threading.get_ident():
            return
        self._leader = 0
        with self._followers:
            self._lead_free = True
            if self._following:
                self._followers.notify()
                return
        threading.Thread(target=self._live, daemon=True).start()

    def _pause_s(self) -> float:
        if not self._idle and not self._lingering and self._draining_since is None:
            return -1
        return LOOK_S if self._draining_since is None else DRAIN_IDLE_S / 4

    def _meet(self, fd: int) -> None:
        connection = self._idle.get(fd)
        if connection is not None:
            connection.receive()
            self._serve(connection)
        elif fd in self._lingering:
            self._linger(fd)
        elif fd == self._control:
            self._drain()
        else:
            self._accept(fd)

    def _accept(self, fd: int) -> None:
        for listener in self._listeners:
            if listener.fileno() != fd:
                continue
            for _ in range(ACCEPTED_AT_ONCE):
                try:
                    client, address = listener.accept()
                except OSError:
                    return
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                most = self._plan.max_body_bytes
                self._keep(Connection(client, str(address[0]), most))

    def _keep(self, connection: Connection) -> None:
        self._idle[connection.fileno()] = connection
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    # Requests

    def _serve(self, connection: Connection) -> None:
        """Handle what has come, one after another, in this thread."""
        while connection.requests:
            request = connection.requests.popleft()
            if self._running >= self._plan.concurrency:
                self._turn_away(connection, HTTPStatus.SERVICE_UNAVAILABLE, request)
                return
            if not self._handle(connection, request):
                return
        if connection.problem is not None:
            self._turn_away(connection, HTTPStatus(connection.problem.status), None)
        elif connection.lost:
            self._close(connection)
        elif connection.fileno() not in self._idle:
            connection.since = time.monotonic()
            self._keep(connection)

    def _handle(self, connection: Connection, request: Request) -> bool:
        """Run the handler; return whether the connection goes on."""
        exchange = Exchange(request, self._plan, last=self._draining_since is not None)
        self._running += 1
        self._watch.begin(exchange)

        def on_wait() -> None:
            self._leave(connection)
            self._give_lead()

        try:
            exchange.run(self._handlers, on_wait)
        finally:
            self._running -= 1
            self._watch.end(exchange)
        if not exchange.keep_alive:
            self._part(connection)
        return exchange.keep_alive

    def _leave(self, connection: Connection) -> None:
        """Take a connection out of the loop: whoever leads next must not touch it."""
        if self._idle.pop(connection.fileno(), None) is not None:
            self._epoll.unregister(connection.fileno())

    def _turn_away(
        self, connection: Connection, status: HTTPStatus, request: Request | None
    ) -> None:
        head = request is not None and request.method == "HEAD"
        try:
            connection.say(whole(status, status.phrase, head=head))
        except StreamClosedError:
            self._close(connection)
            return
        self._part(connection)

    def _part(self, connection: Connection) -> None:
        """Close, but not over what the client is still sending: that would reset the answer."""
        self._leave(connection)
        connection.end_writing()
        fd = connection.fileno()
        self._lingering[fd] = (connection, time.monotonic() + LINGER_S)
        self._epoll.register(fd, select.EPOLLIN)

    def _linger(self, fd: int) -> None:
        connection, until = self._lingering[fd]
        connection.discard()
        if connection.lost or time.monotonic() >= until:
            del self._lingering[fd]
            self._epoll.unregister(fd)
            connection.close()

    def _close(self, connection: Connection) -> None:
        self._leave(connection)
        connection.close()

    # Time

    def _look(self) -> None:
        """Now and then: end what has had its time."""
        now = time.monotonic()
        draining = self._draining_since
        if draining is None and now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        for fd, (_, until) in list(self._lingering.items()):
            if now >= until:
                self._linger(fd)
        for connection in list(self._idle.values()):
            self._look_at(connection, now)
        if draining is not None and not (self._idle or self._lingering or self._running):
            os._exit(0)

    def _look_at(self, connection: Connection, now: float) -> None:
        waited_s = now - connection.since
        if connection.in_head:
            if waited_s >= self._plan.head_timeout_s:
                self._turn_away(connection, HTTPStatus.REQUEST_TIMEOUT, None)
        elif waited_s >= self._plan.idle_timeout_s or (
            self._draining_since is not None and now - self._draining_since >= DRAIN_IDLE_S
        ):
            self._close(connection)

    def _drain(self) -> None:
        """Take what waits to be accepted, close the listeners, and end with the last request."""
        self._epoll.unregister(self._control)
        for each in self._listeners:
            self._accept(each.fileno())
            self._epoll.unregister(each)
            each.close()
        self._listeners = []
        self._draining_since = time.monotonic()
