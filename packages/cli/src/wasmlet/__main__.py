"""`wasmlet`: parse the command line, run one command, end with its exit code."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from wasmlet import inspect, push
from wasmlet.bus import arguments as bus
from wasmlet.check import arguments as check
from wasmlet.doctor import arguments as doctor
from wasmlet.errors import CommandLineError
from wasmlet.node import arguments as node
from wasmlet.telling import one_line, write_nowhere
from wasmlet.up import arguments as up

INTERRUPTED: Final = 130
"""What a shell says of a program that Ctrl-C has ended."""
UNREAD: Final = 141
"""And of one that nobody reads any more, as in `wasmlet check FILE | head`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `wasmlet` and return its exit code: 0, 1 for a failure, 2 for a wrong usage."""
    parser = argparse.ArgumentParser(prog="wasmlet", description="A kubelet for WebAssembly.")
    parser.add_argument("--version", action="version", version=f"wasmlet {version('wasmlet')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    known = (
        (up, "run a node of this machine"),
        (node, "act on a node of this machine"),
        (bus, "prepare the bus of an installation"),
        (push, "put a module in a registry"),
        (inspect, "say what a module or an image is, and what runs it"),
        (check, "say what manifests would meet here"),
        (doctor, "look an installation over"),
    )
    for command, text in known:
        name = command.__name__.split(".")[1]
        below = commands.add_parser(name, help=text, description=command.__doc__)
        command.add_arguments(below)
        below.set_defaults(run=command.run, usage=below)
    chosen, unknown = parser.parse_known_args(arguments)
    if unknown:
        # The parser of the command shows that command's own usage.
        chosen.usage.error(f"unrecognized arguments: {' '.join(unknown)}")
    return _code_of(chosen)


def _code_of(chosen: argparse.Namespace) -> int:
    try:
        code = int(chosen.run(chosen))
        sys.stdout.flush()  # here, where its failure is heard of
    except CommandLineError as error:
        sys.stderr.write(f"wasmlet: {one_line(str(error))}\n")
        return error.exit_code
    except BrokenPipeError:
        write_nowhere()
        return UNREAD
    except KeyboardInterrupt:  # where a command has no end of its own yet, as while it begins
        return INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
