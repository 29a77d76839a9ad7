"""Which runtimes this installation has, found once, before the first fork.

`importlib.metadata` costs its reader 2 MB for good, and every container is a fork of the reader:
so a child process reads the entry points and only their names and targets come back.
"""

import os
from collections.abc import Mapping
from importlib import import_module

import msgspec

from wasm_executor.runtimes.interface import ENTRY_POINT_GROUP, Runtime


def load_runtimes() -> Mapping[str, Runtime]:
    """Make and prepare one object of each declared runtime."""
    runtimes = {name: _resolve(target) for name, target in _declared().items()}
    for runtime in runtimes.values():
        runtime.prepare()
    return runtimes


def _declared() -> dict[str, str]:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        _write_entry_points(write_end)
    os.close(write_end)
    with open(read_end, "rb") as answer:  # noqa: PTH123 - a descriptor has no path
        encoded = answer.read()
    os.waitpid(child, 0)
    return msgspec.json.decode(encoded, type=dict[str, str])


def _write_entry_points(write_end: int) -> None:
    """Runs in the child and ends it."""
    try:
        from importlib.metadata import entry_points

        found = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
        os.write(write_end, msgspec.json.encode(found))
    finally:
        os._exit(0)


def _resolve(target: str) -> Runtime:
    module, _, attribute = target.partition(":")
    runtime: Runtime = getattr(import_module(module), attribute)()
    return runtime
