"""From a CGI program's output to an HTTP response: header lines, an empty one, then the body."""

from http import HTTPStatus
from typing import Final

from wasm_executor.runtimes.wasihttp.errors import HandlerEndedError
from wasm_executor.runtimes.wasihttp.fields import Fields, FieldsError
from wasm_executor.runtimes.wasihttp.messages import Answer, OutgoingBody, OutgoingResponse
from wasm_executor.runtimes.wasihttp.saying import say

MOST_HEAD: Final = 64 * 1024
_SUFFICIENT: Final = frozenset({"content-type", "location", "status"})
"""One of them has to be there; `status` is more than the standard takes, as WAGI does."""
_LEAST_STATUS: Final = 200
_MOST_STATUS: Final = 599


class Output:
    """What has come of a program's output, and where it goes."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._head = bytearray()
        self.body: OutgoingBody | None = None
        """There as soon as the head is whole."""

    def take(self, data: bytes) -> None:
        """Take more of it; with a body there has to be room for it."""
        if self.body is not None:
            self.body.write(data)
            return
        self._head += data
        end = _end_of_head(self._head)
        if end is None:
            if len(self._head) > MOST_HEAD:
                raise HandlerEndedError(f"the header of its output is above {MOST_HEAD} bytes")
            return
        response = _response(bytes(self._head[:end]))
        self.body = response.take_body()
        self._answer.respond(response)
        rest = bytes(self._head[end:])
        if self.body is not None and rest:
            self.body.write(rest)

    def finish(self) -> None:
        if self.body is None:
            raise HandlerEndedError("its output has no empty line behind a header")
        self.body.finish(None)


def _end_of_head(data: bytearray) -> int | None:
    """Return where the body begins: behind the first empty line, whatever ends lines."""
    ends = (data.find(mark) + len(mark) for mark in (b"\n\n", b"\n\r\n") if mark in data)
    return min(ends, default=None)


def _response(head: bytes) -> OutgoingResponse:
    fields, status = Fields(), None
    sufficient = False
    for line in head.decode("utf-8", "replace").splitlines():
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        sufficient = sufficient or (colon == ":" and name in _SUFFICIENT)
        if name == "status":
            status = _status(value)
        else:
            _add(fields, name, value)
    if not sufficient:
        raise HandlerEndedError("the header of its output has no content-type, location or status")
    response = OutgoingResponse(fields)
    found = HTTPStatus.FOUND if fields.has("location") else HTTPStatus.OK
    response.status = status or found
    return response


def _status(text: str) -> int:
    code = text.partition(" ")[0]
    if code.isascii() and code.isdigit() and _LEAST_STATUS <= int(code) <= _MOST_STATUS:
        return int(code)
    say(f"a status that is none: {code[:32]!r}")
    return HTTPStatus.BAD_GATEWAY


def _add(fields: Fields, name: str, value: str) -> None:
    """Leave out, as WAGI does, what is no header field."""
    try:
        fields.append(name, value.encode("utf-8"))
    except FieldsError as error:
        say(f"a header field is left out ({error.tag}): {name[:64]!r}")
