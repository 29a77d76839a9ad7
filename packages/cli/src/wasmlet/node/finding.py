"""Which node is meant: found by the run directories that `wasmlet up` lays out.

A run directory without anybody who listens in it is left over from an `up` that was killed.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from wasmlet.errors import CommandLineError, UsageError
from wasmlet.node.arguments import DrainOptions
from wasmlet.up.folders import run_folders

CONTROL_SOCKET: Final = "control.sock"


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """A node whose executor listens."""

    node: str
    connection: socket.socket


def reach(options: DrainOptions) -> Reached:
    """Return the one node that is meant, or raise with why there is none."""
    found = [each for each in _node_folders(options) if options.node in (None, each.name)]
    if not found:
        raise CommandLineError(_absent(options))
    reached = [each for each in map(_connected, found) if each is not None]
    if len(reached) == 1:
        return reached[0]
    for each in reached:
        each.connection.close()
    names = sorted({each.node for each in reached} or {each.name for each in found})
    if not reached:
        raise CommandLineError(f"the executor of {', '.join(names)} is away")
    if len(names) > 1:
        raise UsageError(f"several nodes run here ({', '.join(names)}): give --node NAME")
    raise UsageError(f"several nodes {names[0]} run here: give --data-dir DIR")


def _node_folders(options: DrainOptions) -> Iterator[Path]:
    for run in run_folders(options.data_dir):
        try:
            yield from sorted((run / "nodes").iterdir())
        except FileNotFoundError:
            continue
        except PermissionError as error:
            raise CommandLineError(f"{run} belongs to another user") from error


def _connected(folder: Path) -> Reached | None:
    """Connect; a socket's path may have 107 bytes, a folder's descriptor stands for any."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        try:
            connection.connect(f"/proc/self/fd/{opened}/{CONTROL_SOCKET}")
        finally:
            os.close(opened)
    except PermissionError as error:
        connection.close()
        raise CommandLineError(f"{folder} belongs to another user") from error
    except OSError:
        with suppress(OSError):
            connection.close()
        return None
    return Reached(node=folder.name, connection=connection)


def _absent(options: DrainOptions) -> str:
    what = "no node" if options.node is None else f"no node {options.node}"
    data = options.data_dir
    where = "for this user" if data is None else f"with the data folder {data}"
    return f"{what} runs here {where}"
