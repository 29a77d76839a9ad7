"""`wasi:io`: errors, pollables, streams."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from wasm_executor.runtimes.wasihttp.errors import StreamClosedError, StreamFailedError
from wasm_executor.runtimes.wasihttp.instance import Instance
from wasm_executor.runtimes.wasihttp.linking import Function, Interface, Resource
from wasm_executor.runtimes.wasihttp.streams import MOST_READ, InputStream, OutputStream, Source
from wasm_executor.runtimes.wasihttp.values import (
    BOOL,
    BYTES,
    STRING,
    U32,
    U64,
    Case,
    Err,
    Ok,
    Type,
    list_of,
    result_of,
    variant_of,
)

ERROR: Final = Resource()
POLLABLE: Final = Resource()
INPUT: Final = Resource(lambda stream: stream.close())
OUTPUT: Final = Resource(lambda stream: stream.close())
STREAM_ERROR: Final = variant_of(last_operation_failed=ERROR.own, closed=None)

_CLOSED: Final = Err(Case("closed"))
_DONE: Final = Ok()


def fallible(operation: Callable[..., Any]) -> Callable[..., Ok | Err]:
    """Turn what a stream raises into its `stream-error`."""

    def attempt(*arguments: Any) -> Ok | Err:
        try:
            return Ok(operation(*arguments))
        except StreamClosedError:
            return _CLOSED
        except StreamFailedError as error:
            return Err(Case("last-operation-failed", error))

    return attempt


def _read(_instance: Instance, stream: InputStream, size: int) -> bytes:
    return stream.read(min(size, MOST_READ))


def _read_waiting(instance: Instance, stream: InputStream, size: int) -> bytes:
    while not (found := stream.read(min(size, MOST_READ))) and size:
        instance.wait(stream)
    return found


def _skip(instance: Instance, stream: InputStream, size: int) -> int:
    return len(_read(instance, stream, size))


def _skip_waiting(instance: Instance, stream: InputStream, size: int) -> int:
    return len(_read_waiting(instance, stream, size))


def _check_write(_instance: Instance, stream: OutputStream) -> int:
    return stream.room()


def _write(_instance: Instance, stream: OutputStream, data: bytes) -> None:
    stream.write(data)


def _flush(_instance: Instance, stream: OutputStream) -> None:
    stream.flush()


def _flush_waiting(instance: Instance, stream: OutputStream) -> None:
    stream.flush()
    while not stream.flushed():
        instance.wait(stream)


def _write_flushing(instance: Instance, stream: OutputStream, data: bytes) -> None:
    while data:
        while not (room := stream.room()):
            instance.wait(stream)
        stream.write(data[:room])
        data = data[room:]
    _flush_waiting(instance, stream)


def _write_zeroes(instance: Instance, stream: OutputStream, size: int) -> None:
    _write(instance, stream, bytes(min(size, stream.room())))


def _write_zeroes_flushing(instance: Instance, stream: OutputStream, size: int) -> None:
    _write_flushing(instance, stream, bytes(min(size, MOST_READ)))


def _splice(instance: Instance, to: OutputStream, source: InputStream, size: int) -> int:
    data = _read(instance, source, min(size, to.room()))
    to.write(data)
    return len(data)


def _splice_waiting(instance: Instance, to: OutputStream, source: InputStream, size: int) -> int:
    while not (room := to.room()):
        instance.wait(to)
    data = _read_waiting(instance, source, min(size, room))
    to.write(data)
    return len(data)


def _block(instance: Instance, source: Source) -> None:
    while not source.ready():
        instance.wait(source)


def _poll(instance: Instance, sources: Sequence[Source]) -> list[int]:
    while not (ready := [number for number, each in enumerate(sources) if each.ready()]):
        instance.wait(*sources)
    return ready


def _method(operation: Callable[..., Any], *types: Type, gives: Type | None = None) -> Function:
    return Function(fallible(operation), types, result_of(gives, STREAM_ERROR))


_SUBSCRIBE_INPUT: Final = Function(lambda _, stream: stream, (INPUT.borrow,), POLLABLE.own)
_SUBSCRIBE_OUTPUT: Final = Function(lambda _, stream: stream, (OUTPUT.borrow,), POLLABLE.own)

INTERFACES: Final[dict[str, Interface]] = {
    "wasi:io/error": {
        "error": ERROR,
        "[method]error.to-debug-string": Function(
            lambda _, error: str(error), (ERROR.borrow,), STRING
        ),
    },
    "wasi:io/poll": {
        "pollable": POLLABLE,
        "[method]pollable.ready": Function(
            lambda _, source: source.ready(), (POLLABLE.borrow,), BOOL
        ),
        "[method]pollable.block": Function(_block, (POLLABLE.borrow,)),
        "poll": Function(_poll, (list_of(POLLABLE.borrow),), list_of(U32)),
    },
    "wasi:io/streams": {
        "input-stream": INPUT,
        "output-stream": OUTPUT,
        "[method]input-stream.read": _method(_read, INPUT.borrow, U64, gives=BYTES),
        "[method]input-stream.blocking-read": _method(
            _read_waiting, INPUT.borrow, U64, gives=BYTES
        ),
        "[method]input-stream.skip": _method(_skip, INPUT.borrow, U64, gives=U64),
        "[method]input-stream.blocking-skip": _method(_skip_waiting, INPUT.borrow, U64, gives=U64),
        "[method]input-stream.subscribe": _SUBSCRIBE_INPUT,
        "[method]output-stream.check-write": _method(_check_write, OUTPUT.borrow, gives=U64),
        "[method]output-stream.write": _method(_write, OUTPUT.borrow, BYTES),
        "[method]output-stream.blocking-write-and-flush": _method(
            _write_flushing, OUTPUT.borrow, BYTES
        ),
        "[method]output-stream.flush": _method(_flush, OUTPUT.borrow),
        "[method]output-stream.blocking-flush": _method(_flush_waiting, OUTPUT.borrow),
        "[method]output-stream.subscribe": _SUBSCRIBE_OUTPUT,
        "[method]output-stream.write-zeroes": _method(_write_zeroes, OUTPUT.borrow, U64),
        "[method]output-stream.blocking-write-zeroes-and-flush": _method(
            _write_zeroes_flushing, OUTPUT.borrow, U64
        ),
        "[method]output-stream.splice": _method(
            _splice, OUTPUT.borrow, INPUT.borrow, U64, gives=U64
        ),
        "[method]output-stream.blocking-splice": _method(
            _splice_waiting, OUTPUT.borrow, INPUT.borrow, U64, gives=U64
        ),
    },
}
