"""Which program a command names in a container.

A container has one program: its module. It answers to its image's name and to the name that the
pod gave it (argv[0]), by themselves or at the end of a path. Everything else is not there, and is
told in the words of the runtimes that people know.
"""

import posixpath
from collections.abc import Sequence

from contract.messages.pod import ContainerPlan
from wasm_executor.supervisor.work import program_name


class ProgramNotFoundError(Exception):
    """There is no such program in the container; a shell would say 127."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


def require_program(container: ContainerPlan, command: Sequence[str]) -> None:
    """Raise unless the command names the container's own module."""
    if not command:
        raise ProgramNotFoundError("you must specify at least one command for the container")
    wanted = command[0]
    own = {program_name(container.image), *container.command[:1]}
    if posixpath.basename(wanted) in {posixpath.basename(name) for name in own} - {""}:
        return
    if "/" in wanted:
        reason = f"stat {wanted}: no such file or directory"
    else:
        reason = "executable file not found in $PATH"
    raise ProgramNotFoundError(f'exec: "{wanted}": {reason}')
