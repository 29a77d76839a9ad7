"""Runtime programs of this machine: a file of TOML for each, read and tried at the start.

The file's name is the handler that a RuntimeClass names. A file that cannot be used costs one line
in the log and that handler, nothing else: pods that ask for it are told what there is.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec
import structlog

from contract.messages.pod import ContainerPlan
from wasm_executor.container.plan import ArtifactKind, External, Network
from wasm_executor.errors import ExecutorError

log = structlog.get_logger()

RUNTIME: Final = "external"
"""The entry point that runs all of them."""
PROBE_TIMEOUT_S: Final = 10.0
_HANDLER: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PLACEHOLDER: Final = re.compile(r"\$\{[^}]*\}")
_WHOLE_WORDS: Final = frozenset({"${ARGS}", "${MOUNTS}", "${PORTS}"})


class ExternalError(ExecutorError):
    """A file, or what a pod wants of its runtime, cannot be had; the text says why."""


class ExternalFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file may say."""

    program: str
    """A name that is looked up in `PATH`, or an absolute path."""
    probe: tuple[str, ...] = ("--version",)
    """Arguments with which it ends at once, and well."""
    command: tuple[str, ...]
    mount: tuple[str, ...] = ()
    port: tuple[str, ...] = ()
    network: Literal["none", "listen", "all"] = "none"
    environment: Literal["inherit", "none"] = "inherit"
    kinds: tuple[ArtifactKind, ...] = (ArtifactKind.MODULE, ArtifactKind.COMPONENT)
    variables: dict[str, str] = {}
    refuses: tuple[str, ...] = ()
    """Variables of pods that the program would take for its own; `*` stands for any rest."""
    reads: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


class ExternalRuntimeFile(msgspec.Struct, frozen=True, kw_only=True):
    """One that is usable."""

    handler: str
    program: str
    version: str
    file: ExternalFile

    def for_container(
        self, container: ContainerPlan, kind: ArtifactKind, *, sockets: bool
    ) -> External:
        """Return what a container's process is told; raise `ExternalError` where it cannot be."""
        file = self.file
        if kind not in file.kinds:
            raise ExternalError(f"the runtime {self.handler} runs no {kind}")
        if container.mounts and not file.mount:
            raise ExternalError(f"the runtime {self.handler} has no way to pass volumes")
        if file.network == "all" and not sockets:
            raise ExternalError(
                f"the runtime {self.handler} gives its guests sockets, which this node does not "
                "(WASMLET_GUEST_SOCKETS)"
            )
        network: Network = file.network
        return External(
            program=self.program,
            command=file.command,
            mount=file.mount,
            port=file.port,
            ports=container.ports if file.port else (),
            network=network,
            inherits=file.environment == "inherit",
            variables=tuple(file.variables.items()),
            refuses=file.refuses,
            reads=file.reads,
            runs=tuple(os.path.realpath(each) for each in file.runs),
        )


def load_externals(
    folder: Path | None, taken: Collection[str]
) -> Mapping[str, ExternalRuntimeFile]:
    """Return the usable ones by handler. Starts each program once; blocks."""
    found: dict[str, ExternalRuntimeFile] = {}
    if folder is None:
        return found
    try:
        paths = sorted(folder.glob("*.toml"))
    except OSError as error:
        log.warning("runtime.left_out", file=str(folder), reason=str(error))
        return found
    if not paths:
        log.warning("runtimes.none_found", folder=str(folder))
    for path in paths:
        try:
            one = load_external(path, taken)
        except ExternalError as error:
            log.warning("runtime.left_out", file=str(path), reason=str(error))
        else:
            found[one.handler] = one
            log.info("runtime.found", handler=one.handler, program=one.program, said=one.version)
    return found


def load_external(path: Path, taken: Collection[str] = ()) -> ExternalRuntimeFile:
    """Read and try one file, or raise `ExternalError` in one line."""
    handler = path.stem
    if _HANDLER.fullmatch(handler) is None or handler in taken:
        raise ExternalError(f"{handler!r} cannot be a handler's name, or is another's")
    try:
        file = msgspec.toml.decode(path.read_bytes(), type=ExternalFile)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExternalError(" ".join(str(error).split())) from error
    for problem in _problems(file):
        raise ExternalError(problem)
    program = shutil.which(file.program)
    if program is None:
        raise ExternalError(f"there is no program {file.program!r} on this machine")
    program = os.path.realpath(program)
    return ExternalRuntimeFile(
        handler=handler, program=program, version=_tried(program, file), file=file
    )


def _problems(file: ExternalFile) -> Iterator[str]:
    if sum(word.count("${MODULE}") for word in file.command) != 1:
        yield "`command` has to name ${MODULE} once"
    yield from _misplaced("command", file.command, {"${MODULE}"}, _WHOLE_WORDS)
    yield from _misplaced("mount", file.mount, {"${HOST}", "${GUEST}"})
    yield from _misplaced("port", file.port, {"${PORT}"})
    for name, words, wanted in (
        ("mount", file.mount, "${MOUNTS}"),
        ("port", file.port, "${PORTS}"),
    ):
        if bool(words) != (wanted in file.command):
            yield f"`{name}` and {wanted} in `command` go together"
    for path in (*file.reads, *file.runs):
        if not path.startswith("/"):
            yield f"{path!r} is no absolute path"


def _misplaced(
    name: str, words: Collection[str], within: set[str], whole: Collection[str] = ()
) -> Iterator[str]:
    for word in words:
        for found in _PLACEHOLDER.findall(word):
            if found not in within and not (found in whole and word == found):
                yield f"{found} has no meaning in the word {word!r} of `{name}`"


def _tried(program: str, file: ExternalFile) -> str:
    """Return the first line that it says of itself."""
    command = [program, *file.probe]
    try:
        ended = subprocess.run(
            command,
            env=dict(file.variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ExternalError(f"{' '.join(command)} did not end in {PROBE_TIMEOUT_S:g} s") from error
    except OSError as error:
        raise ExternalError(f"{program} cannot be run: {error.strerror}") from error
    if ended.returncode:
        raise ExternalError(f"{' '.join(command)} ended with exit code {ended.returncode}")
    said = (ended.stdout or ended.stderr).decode("utf-8", "replace").strip()
    return said.partition("\n")[0][:200]
