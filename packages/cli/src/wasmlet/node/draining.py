"""Order a drain, and tell what the executor says of it until it is over."""

import sys
from typing import Final

from wasmlet.errors import CommandLineError
from wasmlet.node.arguments import DrainOptions
from wasmlet.node.finding import Reached, reach

SILENCE_S: Final = 30.0
"""How much longer than the pods' grace the executor may say nothing."""
ERROR: Final = "error: "
DONE: Final = "drained "


def drain(options: DrainOptions) -> int:
    """Return 0 once every pod has ended."""
    reached = reach(options)
    with reached.connection as connection:
        connection.settimeout(options.grace_s + SILENCE_S)
        try:
            connection.sendall(f"drain {options.grace_s!r}\n".encode())
            _tell(reached)
        except TimeoutError as error:
            raise CommandLineError(f"the executor of {reached.node} does not answer") from error
        except OSError as error:
            raise _gone(reached) from error
        except KeyboardInterrupt:
            raise CommandLineError(f"interrupted; the drain of {reached.node} goes on") from None
    return 0


def _tell(reached: Reached) -> None:
    """Print each line; raise `CommandLineError` unless the last one says that it is done."""
    with reached.connection.makefile("r", encoding="utf-8") as lines:
        for line in lines:
            text = line.rstrip("\n")
            if text.startswith(ERROR):
                raise CommandLineError(f"node {reached.node}: {text.removeprefix(ERROR)}")
            sys.stdout.write(f"{reached.node}: {text}\n")
            sys.stdout.flush()
            if text.startswith(DONE):
                return
    raise _gone(reached)


def _gone(reached: Reached) -> CommandLineError:
    return CommandLineError(f"the executor of {reached.node} went away before it was drained")
