"""The `external` runtime: a container's process becomes a runtime program of this machine.

The command line is the file's, with words put in: `${MODULE}` is the module's path, a word
`${ARGS}` the container's arguments, `${MOUNTS}` the file's `mount` for each folder (`${HOST}`,
`${GUEST}`), `${PORTS}` its `port` for each declared port (`${PORT}`). Variables, and so secrets, go
by the environment alone. A folder is named by a descriptor that is held open, so that it is this
folder and no other whatever a guest does to the path meanwhile.
"""

import fnmatch
import os
import signal
from collections.abc import Callable, Iterator
from typing import Final

from wasm_executor.container.beneath import open_beneath, openable
from wasm_executor.container.landlock import LEAST_ABI, landlock_abi
from wasm_executor.container.needs import Need
from wasm_executor.container.plan import (
    Artifact,
    External,
    Preopen,
    ProcessPlan,
    StartFailureReason,
)
from wasm_executor.container.seccomp import can_restrict_calls
from wasm_executor.keeper.descriptors import close_all_but
from wasm_executor.runtimes.errors import GuestNotStartedError
from wasm_executor.runtimes.startfailures import no_entry

CANNOT_RUN: Final = 126
REFUSED_VARIABLES: Final = (
    "LD_*",
    "GLIBC_TUNABLES",
    "GCONV_PATH",
    "LOCPATH",
    "NLSPATH",
    "MALLOC_*",
    "NODE_*",
    "OPENSSL_*",
    "SSLKEYLOGFILE",
    "RUST_*",
    "GODEBUG",
    "GOTRACEBACK",
    "PYTHON*",
    "PERL*",
    "RUBY*",
    "BASH_*",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "_JAVA_OPTIONS",
    "CLASSPATH",
    "WASMTIME_*",
    "WASMER_*",
    "WASMEDGE_*",
)
"""They would be the program's own: what it loads, logs or believes is not its guest's to say.

A file of the node names what else its program listens to."""


class ExternalRuntime:
    """Runs what a file of the node describes."""

    needs = frozenset({Need.PROGRAM})

    def prepare(self) -> None:
        """There is nothing to load: the program replaces this process."""

    def accepts(self, artifact: Artifact) -> bool:  # noqa: ARG002 - the interface's
        """Nothing unasked."""
        return False

    def run(self, plan: ProcessPlan, on_started: Callable[[], None]) -> int:
        external = plan.external
        if external is None:
            raise no_entry("`external` is no handler: the names of the node's own files are")
        _require_walls()
        environ = _environment(plan, external)
        folders = {each.guest_path: _held(each) for each in plan.preopens} if external.mount else {}
        argv = command_line(plan, external, {at: openable(fd) for at, fd in folders.items()})
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and a program would
        close_from = frozenset(folders.values())
        on_started()
        close_all_but(close_from)
        for each in close_from:
            os.set_inheritable(each, True)
        try:
            os.execve(external.program, argv, environ)  # noqa: S606 - that is what it is for
        except OSError as error:
            os.write(2, f"wasmlet: cannot run {external.program}: {error.strerror}\n".encode())
            return CANNOT_RUN


def command_line(plan: ProcessPlan, external: External, folders: dict[str, str]) -> list[str]:
    """Return the whole argv; `folders` says by what path the program finds each."""
    argv = [external.program]
    for word in external.command:
        match word:
            case "${ARGS}":
                argv += plan.args[1:]
            case "${MOUNTS}":
                argv += _mounts(external, folders)
            case "${PORTS}":
                argv += [
                    each.replace("${PORT}", str(port))
                    for port in external.ports
                    for each in external.port
                ]
            case _:
                argv.append(word.replace("${MODULE}", plan.artifact.path))
    return argv


def _mounts(external: External, folders: dict[str, str]) -> Iterator[str]:
    for guest, host in folders.items():
        for word in external.mount:
            yield word.replace("${HOST}", host).replace("${GUEST}", guest)


def _environment(plan: ProcessPlan, external: External) -> dict[str, str]:
    own = dict(external.variables)
    if not external.inherits:
        if plan.env:
            text = f"wasmlet: this runtime takes no variables: {len(plan.env)} are left out\n"
            os.write(2, text.encode())
        return own
    for name, _ in plan.env:
        if any(fnmatch.fnmatchcase(name, each) for each in (*REFUSED_VARIABLES, *external.refuses)):
            raise _failure(f"the variable {name} would be the runtime program's, not its guest's")
    return dict(plan.env) | own


def _require_walls() -> None:
    if landlock_abi() < LEAST_ABI or not can_restrict_calls():
        raise _failure(
            "runtime programs of the machine run behind Landlock (Linux 6.2) and seccomp alone, "
            "and this node lacks one of them"
        )


def _held(folder: Preopen) -> int:
    try:
        return open_beneath(folder.host_path, folder.beneath)
    except OSError as error:
        raise _failure(f"the folder for {folder.guest_path} cannot be opened") from error


def _failure(message: str) -> GuestNotStartedError:
    return GuestNotStartedError(StartFailureReason.INSTANTIATION_FAILED, message)
