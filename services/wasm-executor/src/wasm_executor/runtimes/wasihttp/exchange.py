"""One request, from its head to its answer: the handler is called, and its end is put into HTTP."""

import codecs
import time
from http import HTTPStatus
from typing import Final, Protocol

from wasmtime import WasmtimeError

from wasm_executor.container.plan import HttpPlan
from wasm_executor.runtimes.wasihttp.connection import Request
from wasm_executor.runtimes.wasihttp.errors import (
    BodyTooLargeError,
    GuestExitError,
    HandlerEndedError,
    HttpFailedError,
    RequestTimeoutError,
    StreamClosedError,
)
from wasm_executor.runtimes.wasihttp.fields import Fields
from wasm_executor.runtimes.wasihttp.instance import Instance, OnWait
from wasm_executor.runtimes.wasihttp.messages import Answer, IncomingRequest
from wasm_executor.runtimes.wasihttp.responding import Responder, whole
from wasm_executor.runtimes.wasihttp.saying import say

_STATUS_OF_ERROR: Final = {
    "HTTP-request-denied": HTTPStatus.FORBIDDEN,
    "destination-IP-prohibited": HTTPStatus.FORBIDDEN,
    "HTTP-response-timeout": HTTPStatus.GATEWAY_TIMEOUT,
    "connection-timeout": HTTPStatus.GATEWAY_TIMEOUT,
}
_STATUS_OF_END: Final = {
    RequestTimeoutError: HTTPStatus.GATEWAY_TIMEOUT,
    BodyTooLargeError: HTTPStatus.CONTENT_TOO_LARGE,
}
_escape: Final = codecs.getencoder("unicode_escape")
"""Found here: a container's process can read no more modules."""
_ABSOLUTE: Final = (b"http://", b"https://")


class Handling(Protocol):
    """Whoever answers requests."""

    def handle(
        self, request: IncomingRequest, answer: Answer, deadline: float, on_wait: OnWait, reuse: int
    ) -> None:
        """Answer it; raise a trap, or what else ended its handler."""


class Exchange:
    """One run of the handler. `keep_alive` afterwards: whether the connection goes on."""

    def __init__(self, request: Request, plan: HttpPlan, *, last: bool) -> None:
        self.deadline = time.monotonic() + plan.timeout_s
        self.responder = Responder(request.connection, request, last=last)
        self.abandoned = False
        """The watch has answered in its place; the process ends."""
        self._request = request
        self._plan = plan

    @property
    def keep_alive(self) -> bool:
        responder = self.responder
        whole_answer = responder.finished and responder.keep_alive
        return whole_answer and self._request.complete and not self._request.connection.lost

    def run(self, handlers: Handling, on_wait: OnWait) -> None:
        """Answer the request, in one way or another."""
        try:
            self._call(handlers, on_wait)
            self._conclude()
        except GuestExitError:
            self._conclude()
        except (RequestTimeoutError, BodyTooLargeError) as error:
            self._tell(_STATUS_OF_END[type(error)], str(error))
        except StreamClosedError:
            self.responder.keep_alive = False
        except HandlerEndedError as error:
            self._tell(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        except WasmtimeError as error:
            self._tell(HTTPStatus.INTERNAL_SERVER_ERROR, _trap_of(error))
        except Exception as error:  # noqa: BLE001 - the request boundary: others go on
            self._tell(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")
        self._send_rest(on_wait)
        if self._plan.access_log:
            self._log()

    def _call(self, handlers: Handling, on_wait: OnWait) -> None:
        def on_guests_wait() -> None:
            self.responder.send_held()
            on_wait()

        request = self._incoming()
        handlers.handle(request, self.responder, self.deadline, on_guests_wait, self._plan.reuse)

    def answer_overdue(self) -> None:
        """Called by the watch while the guest computes: say 504 where nothing was said."""
        self.abandoned = True
        self._tell(HTTPStatus.GATEWAY_TIMEOUT, "the handler took too long")

    def _incoming(self) -> IncomingRequest:
        request = self._request
        entries = [each for each in request.entries if each[0] != "host"]
        target, authority = request.target, request.host
        if target.startswith(_ABSOLUTE):
            rest = target.partition(b"://")[2]
            authority, slash, path = rest.partition(b"/")
            target = slash + path or b"/"
        return IncomingRequest(
            request.method,
            target.decode("latin-1"),
            None if authority is None else authority.decode("latin-1"),
            Fields(entries, mutable=False),
            request,
        )

    def _conclude(self) -> None:
        responder = self.responder
        if responder.failure is not None:
            self._fail(responder.failure)
        elif not responder.finished:
            problem = "it gave no response" if not responder.status else "its body has no end"
            self._tell(HTTPStatus.INTERNAL_SERVER_ERROR, f"the handler returned, but {problem}")

    def _fail(self, error: HttpFailedError) -> None:
        status = _STATUS_OF_ERROR.get(error.code, HTTPStatus.BAD_GATEWAY)
        if error.code == "internal-error":
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        detail = f" ({error.payload})" if error.payload else ""
        self._tell(status, f"the handler answered with {error.code}{detail}")

    def _tell(self, status: HTTPStatus, problem: str) -> None:
        """Log a failure; the client hears its status, and not the reason."""
        request, responder = self._request, self.responder
        say(f"request failed: {request.method} {_shown(request.target)}: {problem}")
        responder.keep_alive = False
        if responder.begun:
            return
        responder.status = status
        text = whole(status, status.phrase, head=request.method == "HEAD")
        try:
            request.connection.say(text)
        except StreamClosedError:
            return

    def _send_rest(self, on_wait: OnWait) -> None:
        """Wait until the client has taken all of the answer, while the request has time."""
        try:
            if self.responder.flushed():
                return
            waiting = Instance.waiting(self.deadline, on_wait)
            while not self.responder.flushed():
                waiting.wait(self.responder)
        except (RequestTimeoutError, StreamClosedError):
            self.responder.keep_alive = False

    def _log(self) -> None:
        request, took_s = self._request, time.monotonic() - self._request.began_at
        line = f"{request.method} {_shown(request.target)} HTTP/{request.version}"
        status, sent = self.responder.status, self.responder.sent
        say(f'{request.connection.peer} "{line}" {status} {sent} {took_s * 1000:.1f}ms')


def _shown(target: bytes) -> str:
    """A target may hold anything; in a log it is one word of one line."""
    return _escape(target[:1024].decode("latin-1"))[0].decode()


def _trap_of(error: WasmtimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and line != "Caused by:"]
    return "; ".join(told)[:2048]
