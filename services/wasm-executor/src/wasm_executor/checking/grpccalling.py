"""One HTTP/2 connection for one gRPC call; importing this module is what costs memory."""

import asyncio
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from wasm_executor.checking.errors import MessageMalformedError
from wasm_executor.checking.finding import MAX_BODY_BYTES
from wasm_executor.checking.grpcwire import (
    HTTP_CODES,
    PATH,
    Call,
    Code,
    serving_status,
    unframed,
)
from wasm_executor.checking.request import PROBE_AGENT
from wasm_executor.checking.wording import quoted

CONTENT_TYPE: Final = "application/grpc"
_CONFIG: Final = H2Configuration(client_side=True, header_encoding="utf-8")


class Channel(asyncio.Protocol):
    """Connected once `ready` is true: the server has sent its settings, so it speaks HTTP/2."""

    def __init__(self, authority: str) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[bool] = loop.create_future()
        self._ended: asyncio.Future[Call] = loop.create_future()
        self._authority = authority
        self._http = H2Connection(_CONFIG)
        self._transport: asyncio.Transport | None = None
        self._fields: dict[str, str] = {}
        self._data = bytearray()

    async def call(self, question: bytes, timeout_s: float) -> Call:
        stream = self._http.get_next_available_stream_id()
        self._http.send_headers(
            stream,
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", PATH),
                (":authority", self._authority),
                ("content-type", CONTENT_TYPE),
                ("user-agent", PROBE_AGENT),
                ("te", "trailers"),
                ("grpc-timeout", f"{max(1, int(timeout_s * 1000))}m"),
            ],
        )
        self._http.send_data(stream, question, end_stream=True)
        self._flush()
        return await self._ended

    def leave(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's derive from nothing
        self._http.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._http.receive_data(data):
                self._take(event)
        except ProtocolError as error:
            self._end(Call(code=Code.UNAVAILABLE, text=f"connection error: {error}"))
            self.leave()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        reason = "EOF" if exc is None else str(exc)
        self._end(Call(code=Code.UNAVAILABLE, text=f"error reading from server: {reason}"))

    def _take(self, event: Event) -> None:
        match event:
            case RemoteSettingsChanged():
                if not self.ready.done():
                    self.ready.set_result(True)
            case ResponseReceived(headers=headers) | TrailersReceived(headers=headers):
                self._fields.update((str(name), str(value)) for name, value in headers or ())
            case DataReceived(data=data):
                self._more(data or b"", event.flow_controlled_length or 0, event.stream_id or 0)
            case StreamEnded():
                self._end(self._outcome())
            case StreamReset(error_code=code):
                text = f"stream terminated by RST_STREAM with error code: {_h2_name(code)}"
                self._end(Call(code=Code.INTERNAL, text=text))
            case ConnectionTerminated() if not self.ready.done():
                self._end(Call(code=Code.UNAVAILABLE, text="the server has said goodbye"))

    def _more(self, data: bytes, used: int, stream: int) -> None:
        self._data += data
        self._http.acknowledge_received_data(used, stream)
        if len(self._data) > MAX_BODY_BYTES:
            text = f"grpc: received message larger than max ({len(self._data)} vs. "
            self._end(Call(code=Code.RESOURCE_EXHAUSTED, text=f"{text}{MAX_BODY_BYTES})"))

    def _outcome(self) -> Call:
        said = self._fields.get("grpc-status")
        if not self._fields.get("content-type", "").startswith(CONTENT_TYPE):
            return self._no_grpc()
        if said is None:
            text = "server closed the stream without sending trailers"
            return Call(code=Code.INTERNAL, text=text)
        code = Code(int(said)) if said.isdigit() and int(said) in Code else Code.UNKNOWN
        if code is not Code.OK:
            return Call(code=code, text=unquote(self._fields.get("grpc-message", "")))
        try:
            return Call(code=Code.OK, status=serving_status(unframed(bytes(self._data))))
        except MessageMalformedError as error:
            return Call(code=Code.INTERNAL, text=error.text)

    def _no_grpc(self) -> Call:
        said = self._fields.get(":status", "")
        status = int(said) if said.isdigit() else 0
        kind = self._fields.get("content-type")
        reason = "malformed header: missing HTTP content-type"
        if kind is not None:
            reason = f"transport: received unexpected content-type {quoted(kind)}"
        phrase = HTTPStatus(status).phrase if status in HTTPStatus else ""
        text = f"unexpected HTTP status code received from server: {said} ({phrase}); {reason}"
        return Call(code=HTTP_CODES.get(status, Code.UNKNOWN), text=text)

    def _end(self, call: Call) -> None:
        if not self.ready.done():
            self.ready.set_result(False)
        if not self._ended.done():
            self._ended.set_result(call)

    def _flush(self) -> None:
        data = self._http.data_to_send()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def _h2_name(code: object) -> str:
    return str(getattr(code, "name", code))
