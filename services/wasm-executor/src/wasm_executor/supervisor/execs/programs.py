"""Which program a command names in a container.

It may be the path of a module's file that the container sees. Else a container has one program of
its own: its module. It answers to its image's name and to the name that the pod gave it (argv[0]),
by themselves or at the end of a path. Then there are the tools of the node's toolbox. Everything
else is not there, and is told in the words of the runtimes that
people know.
"""

import posixpath
from collections.abc import Callable, Sequence
from typing import NamedTuple

from contract.messages.pod import ContainerPlan, PodPlan
from wasm_executor.container.plan import Preopen
from wasm_executor.images.records import PreparedImage
from wasm_executor.images.rootmodule import command_line
from wasm_executor.supervisor.execs.modulefiles import ModuleFiles, may_be_file
from wasm_executor.supervisor.execs.toolbox import Toolbox, ToolboxNotReadyError, may_be_tool
from wasm_executor.supervisor.pods.work import keyring_of, overrides_of, program_name


class Program(NamedTuple):
    """What a command is a new instance of, and its whole argv."""

    image: PreparedImage
    args: tuple[str, ...]
    is_own: bool = True
    """Whether it is the container's module, and so runs as that does."""


class ProgramNotFoundError(Exception):
    """There is no such program in the container; a shell would say 127."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class Programs:
    """All that there are on a node."""

    def __init__(self, toolbox: Toolbox, files: ModuleFiles) -> None:
        self._toolbox = toolbox
        self._files = files

    async def find(
        self,
        container: ContainerPlan,
        image: PreparedImage,
        preopens: Callable[[], Sequence[Preopen]],
        command: Sequence[str],
        plan: PodPlan,
    ) -> Program:
        """Return the program; raise `ProgramNotFoundError`, `ImageError`."""
        if command and may_be_file(command[0]):
            file = await self._files.find(preopens(), command[0])
            if file is not None:
                return Program(file, tuple(command), is_own=False)
        toolbox = self._toolbox
        if plan.toolbox and command and _needs_toolbox(container, image, command[0]):
            toolbox = await toolbox.of_pod(plan.toolbox, keyring_of(plan))
        return find_program(container, image, command, toolbox)


def find_program(
    container: ContainerPlan, image: PreparedImage, command: Sequence[str], toolbox: Toolbox
) -> Program:
    """Return the program; `image` is the container's. Raise `ProgramNotFoundError`."""
    if not command:
        raise ProgramNotFoundError("you must specify at least one command for the container")
    wanted, *rest = command
    if _names_own_module(container, image, wanted):
        if not image.compiled:
            reason = "a runtime program of the machine runs this module, once for a container"
            raise ProgramNotFoundError(f'exec: "{wanted}": {reason}')
        return Program(image, tuple(command))
    try:
        tool = toolbox.find(wanted)
    except ToolboxNotReadyError as error:
        raise ProgramNotFoundError(f'exec: "{wanted}": {error}') from error
    if tool is not None:
        return Program(tool.image, (tool.name, *rest), is_own=False)
    if "/" in wanted:
        reason = f"stat {wanted}: no such file or directory"
    else:
        reason = "executable file not found in $PATH"
    raise ProgramNotFoundError(f'exec: "{wanted}": {reason}')


def _needs_toolbox(container: ContainerPlan, image: PreparedImage, wanted: str) -> bool:
    return may_be_tool(wanted) and not _names_own_module(container, image, wanted)


def _names_own_module(container: ContainerPlan, image: PreparedImage, wanted: str) -> bool:
    argv = command_line(image.config, overrides_of(container))
    own = {program_name(container.image), *argv[:1]}
    return posixpath.basename(wanted) in {posixpath.basename(name) for name in own} - {""}
