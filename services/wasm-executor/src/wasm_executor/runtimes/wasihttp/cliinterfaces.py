"""`wasi:cli`, `wasi:clocks` and `wasi:random`: what every guest may import beside HTTP."""

import os
import time
from typing import Any, Final, NoReturn

from wasm_executor.runtimes.wasihttp.errors import GuestExitError
from wasm_executor.runtimes.wasihttp.instance import Instance
from wasm_executor.runtimes.wasihttp.iointerfaces import INPUT, OUTPUT, POLLABLE
from wasm_executor.runtimes.wasihttp.linking import Function, Interface, Resource
from wasm_executor.runtimes.wasihttp.streams import Descriptor, Empty, Instant
from wasm_executor.runtimes.wasihttp.values import (
    BYTES,
    STRING,
    U8,
    U32,
    U64,
    Ok,
    list_of,
    option_of,
    record_of,
    result_of,
    tuple_of,
)

TERMINAL_INPUT: Final = Resource()
TERMINAL_OUTPUT: Final = Resource()
SECOND_NS: Final = 1_000_000_000
MOST_RANDOM: Final = 64 * 1024
"""Bytes that one call may ask for."""
_DATETIME: Final = record_of(seconds=U64, nanoseconds=U32)


def _exit(_instance: Instance, status: Any) -> NoReturn:
    code = status if isinstance(status, int) else int(not isinstance(status, Ok))
    raise GuestExitError(f"the handler exited with {code}")


def _now(_instance: Instance) -> tuple[int, int]:
    return divmod(time.time_ns(), SECOND_NS)


def _random(_instance: Instance, size: int) -> bytes:
    return os.urandom(min(size, MOST_RANDOM)) if size <= MOST_RANDOM else _much_random(size)


def _much_random(size: int) -> NoReturn:
    raise ValueError(f"{size} random bytes are too many at once: at most {MOST_RANDOM}")


def _random_u64(_instance: Instance) -> int:
    return int.from_bytes(os.urandom(8))


_RESOLUTION: Final = 1
_BYTES: Final = Function(_random, (U64,), BYTES)
_NUMBER: Final = Function(_random_u64, (), U64)

INTERFACES: Final[dict[str, Interface]] = {
    "wasi:cli/environment": {
        "get-environment": Function(
            lambda instance: instance.env, (), list_of(tuple_of(STRING, STRING))
        ),
        "get-arguments": Function(lambda instance: instance.args, (), list_of(STRING)),
        "initial-cwd": Function(lambda _: None, (), option_of(STRING)),
    },
    "wasi:cli/exit": {
        "exit": Function(_exit, (result_of(),)),
        "exit-with-code": Function(_exit, (U8,)),
    },
    "wasi:cli/stdin": {"get-stdin": Function(lambda _: Empty(), (), INPUT.own)},
    "wasi:cli/stdout": {"get-stdout": Function(lambda _: Descriptor(1), (), OUTPUT.own)},
    "wasi:cli/stderr": {"get-stderr": Function(lambda _: Descriptor(2), (), OUTPUT.own)},
    "wasi:cli/terminal-input": {"terminal-input": TERMINAL_INPUT},
    "wasi:cli/terminal-output": {"terminal-output": TERMINAL_OUTPUT},
    "wasi:cli/terminal-stdin": {
        "get-terminal-stdin": Function(lambda _: None, (), option_of(TERMINAL_INPUT.own))
    },
    "wasi:cli/terminal-stdout": {
        "get-terminal-stdout": Function(lambda _: None, (), option_of(TERMINAL_OUTPUT.own))
    },
    "wasi:cli/terminal-stderr": {
        "get-terminal-stderr": Function(lambda _: None, (), option_of(TERMINAL_OUTPUT.own))
    },
    "wasi:clocks/wall-clock": {
        "now": Function(_now, (), _DATETIME),
        "resolution": Function(lambda _: (0, _RESOLUTION), (), _DATETIME),
    },
    "wasi:clocks/monotonic-clock": {
        "now": Function(lambda _: time.monotonic_ns(), (), U64),
        "resolution": Function(lambda _: _RESOLUTION, (), U64),
        "subscribe-instant": Function(lambda _, at: Instant(at / SECOND_NS), (U64,), POLLABLE.own),
        "subscribe-duration": Function(
            lambda _, ns: Instant(time.monotonic() + ns / SECOND_NS), (U64,), POLLABLE.own
        ),
    },
    "wasi:random/random": {"get-random-bytes": _BYTES, "get-random-u64": _NUMBER},
    "wasi:random/insecure": {
        "get-insecure-random-bytes": _BYTES,
        "get-insecure-random-u64": _NUMBER,
    },
    "wasi:random/insecure-seed": {
        "insecure-seed": Function(
            lambda instance: (_random_u64(instance), _random_u64(instance)),
            (),
            tuple_of(U64, U64),
        )
    },
}
