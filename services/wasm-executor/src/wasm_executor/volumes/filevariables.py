"""Variables whose values are in a file of a volume: read when their container starts.

An init container has written it, so nobody knows them earlier, and whoever can write to the volume
decides what is there: it is read as hostile. What was read is kept for the run, on tmpfs, because
what runs beside its guest has the same variables.
"""

import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, FileVariable, PodPlan, file_variable_mark
from wasm_executor.container.beneath import open_beneath, openable
from wasm_executor.volumes.envfiles import EnvFileError, value_in
from wasm_executor.volumes.errors import ContainerMountError
from wasm_executor.volumes.folders import Folders, make_folder
from wasm_executor.volumes.sources import Sources

MOST_BYTES: Final = 1024 * 1024
UNPARSED: Final = "couldn't parse env file"
_MARK: Final = re.compile(file_variable_mark(0).replace("0", "([0-9]+)"))
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PRIVATE: Final = 0o600
_decoder: Final = msgspec.msgpack.Decoder(tuple[str | None, ...])


class FileVariables:
    """See the module. All of it blocks, for files."""

    def __init__(self, folders: Folders, sources: Sources) -> None:
        self._folders = folders
        self._sources = sources

    def read(self, plan: PodPlan, container: ContainerPlan, run: int) -> ContainerPlan:
        """Return the plan with its values; raise `ContainerMountError`, in a kubelet's words."""
        values: list[str | None] = []
        for variable in container.file_variables:
            value = self._value(plan, variable)
            values.append(_before(container, variable, values) if value is None else value)
        _require_sub_paths(container, values)
        self._keep(plan.uid, container.name, run, values)
        return resolved(container, values)

    def find(self, plan: PodPlan, container: ContainerPlan, run: int) -> ContainerPlan:
        """Return the plan that a run was given."""
        with suppress(OSError):
            kept = Path(self._record(plan.uid, container.name, run)).read_bytes()
            return resolved(container, _decoder.decode(kept))
        return resolved(container, [None for _ in container.file_variables])

    def drop(self, uid: PodUid, container: ContainerName, run: int) -> None:
        """Keep nothing of a run that is over."""
        Path(self._record(uid, container, run)).unlink(missing_ok=True)

    def _value(self, plan: PodPlan, variable: FileVariable) -> str | None:
        volume = next((each for each in plan.volumes if each.name == variable.volume), None)
        source = None if volume is None else self._sources.find(plan.uid, volume)
        if source is None:
            text = f'cannot find the volume "{variable.volume}" referenced by FileKeyRef'
            raise ContainerMountError(variable.volume, text)
        try:
            text = _content(source.host_path, (*source.beneath, variable.path))
            value = value_in(text, variable.key)
        except (OSError, EnvFileError, UnicodeDecodeError) as error:
            raise ContainerMountError(variable.volume, UNPARSED) from error
        if value or variable.optional:
            return value or None
        file = f"{variable.volume}/{variable.path}"
        text = f'environment variable key "{variable.key}" not found in file "{file}"'
        raise ContainerMountError(variable.volume, text)

    def _record(self, uid: PodUid, container: ContainerName, run: int) -> str:
        return f"{self._folders.run(uid, container, run, memory=True)}.variables"

    def _keep(
        self, uid: PodUid, container: ContainerName, run: int, values: Sequence[str | None]
    ) -> None:
        record = self._record(uid, container, run)
        make_folder(os.path.dirname(record))  # noqa: PTH120 - a str, as all paths here
        descriptor = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - it is a descriptor
            file.write(msgspec.msgpack.encode(values))


def resolved(container: ContainerPlan, values: Sequence[str | None]) -> ContainerPlan:
    """Put values where their marks are.

    A variable without a value is not there: nor is its entry, and what refers to it keeps the
    reference, as for every name that is not known.
    """
    texts = _texts(container, values)
    env = [each for each in container.env if not _is_absent(each, container, values)]
    return msgspec.structs.replace(
        container,
        env=tuple((name, _filled(value, texts)) for name, value in env),
        command=tuple(_filled(each, texts) for each in container.command),
        args=tuple(_filled(each, texts) for each in container.args),
        mounts=tuple(
            msgspec.structs.replace(each, sub_path=_filled(each.sub_path, texts))
            for each in container.mounts
        ),
        file_variables=(),
    )


def _is_absent(
    entry: tuple[str, str], container: ContainerPlan, values: Sequence[str | None]
) -> bool:
    absent = _absent_in(entry[1], values)
    return len(absent) == 1 and (
        entry == (container.file_variables[absent[0]].name, file_variable_mark(absent[0]))
    )


def _before(
    container: ContainerPlan, variable: FileVariable, values: Sequence[str | None]
) -> str | None:
    """Return what the name stood for before, as far as the values before it are known."""
    before = variable.before
    if before is None or _is_absent((variable.name, before), container, values):
        return None
    return _filled(before, _texts(container, values))


def _require_sub_paths(container: ContainerPlan, values: Sequence[str | None]) -> None:
    for mount in container.mounts:
        absent = _absent_in(mount.sub_path, values)
        if absent:
            names = sorted({container.file_variables[each].name for each in absent})
            text = f"missing value for {', '.join(names)}"
            raise ContainerMountError(mount.volume, text)


def _texts(container: ContainerPlan, values: Sequence[str | None]) -> list[str]:
    """Return what stands where a value is referred to."""
    named = zip(container.file_variables, values, strict=False)
    return [f"$({each.name})" if value is None else value for each, value in named]


def _absent_in(text: str, values: Sequence[str | None]) -> list[int]:
    """Return the numbers of the variables that a text refers to and that have no value."""
    numbers = [int(each) for each in _MARK.findall(text)]
    return [each for each in numbers if each < len(values) and values[each] is None]


def _filled(text: str, texts: Sequence[str]) -> str:
    """Put values in the place of their marks, once: what they hold is looked at by nobody."""
    if "\0" not in text:
        return text
    known = {file_variable_mark(number): value for number, value in enumerate(texts)}
    return _MARK.sub(lambda mark: known.get(mark[0], mark[0]), text)


def _content(host_path: str, beneath: Sequence[str]) -> str:
    descriptor = open_beneath(host_path, beneath)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise EnvFileError("not a file")
        with open(os.open(openable(descriptor), _READ), "rb") as file:  # noqa: PTH123 - a descriptor
            content = file.read(MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MOST_BYTES:
        raise EnvFileError("too large")
    return content.decode()
