"""`wasi:filesystem`: a container's mounts for its handlers."""

import errno
import os
from collections.abc import Callable
from typing import Any, Final

from wasm_executor.runtimes.wasihttp.errors import HandlerEndedError
from wasm_executor.runtimes.wasihttp.files import (
    NEW_FOLDER_MODE,
    Descriptor,
    FileInput,
    FileOutput,
    type_of,
)
from wasm_executor.runtimes.wasihttp.instance import Instance
from wasm_executor.runtimes.wasihttp.iointerfaces import ERROR, INPUT, OUTPUT
from wasm_executor.runtimes.wasihttp.linking import Function, Interface, Resource
from wasm_executor.runtimes.wasihttp.streams import MOST_READ
from wasm_executor.runtimes.wasihttp.values import (
    BOOL,
    BYTES,
    ENUM,
    FLAGS,
    STRING,
    U32,
    U64,
    Err,
    Ok,
    Type,
    list_of,
    option_of,
    record_of,
    result_of,
    tuple_of,
)

DESCRIPTOR: Final = Resource(lambda descriptor: descriptor.drop())
ENTRIES: Final = Resource()
SECOND_NS: Final = 1_000_000_000
_FOLLOW: Final = "symlink-follow"
_CODES: Final = {
    errno.EACCES: "access",
    errno.EBADF: "bad-descriptor",
    errno.EBUSY: "busy",
    errno.EDQUOT: "quota",
    errno.EEXIST: "exist",
    errno.EFBIG: "file-too-large",
    errno.EINVAL: "invalid",
    errno.EISDIR: "is-directory",
    errno.ELOOP: "loop",
    errno.EMLINK: "too-many-links",
    errno.ENAMETOOLONG: "name-too-long",
    errno.ENOENT: "no-entry",
    errno.ENOSPC: "insufficient-space",
    errno.ENOTDIR: "not-directory",
    errno.ENOTEMPTY: "not-empty",
    errno.EPERM: "not-permitted",
    errno.EROFS: "read-only",
    errno.EXDEV: "not-permitted",
}
_TIME: Final = option_of(record_of(seconds=U64, nanoseconds=U32))
_STAT: Final = record_of(
    type=ENUM,
    link_count=U64,
    size=U64,
    data_access_timestamp=_TIME,
    data_modification_timestamp=_TIME,
    status_change_timestamp=_TIME,
)
_ENTRY: Final = option_of(record_of(type=ENUM, name=STRING))
_HASH: Final = record_of(lower=U64, upper=U64)


def _attempted(operation: Callable[..., Any]) -> Callable[..., Ok | Err]:
    def attempt(_instance: Instance, *arguments: Any) -> Ok | Err:
        try:
            return Ok(operation(*arguments))
        except OSError as error:
            return Err(_CODES.get(error.errno or 0, "io"))

    return attempt


def _method(operation: Callable[..., Any], *types: Type, gives: Type | None = None) -> Function:
    return Function(_attempted(operation), (DESCRIPTOR.borrow, *types), result_of(gives, ENUM))


def _stat_record(found: os.stat_result) -> tuple[Any, ...]:
    times = (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)
    return (
        type_of(found.st_mode),
        found.st_nlink,
        found.st_size,
        *(divmod(each, SECOND_NS) for each in times),
    )


def _stat_at(folder: Descriptor, flags: frozenset[str], path: str) -> os.stat_result:
    found = folder.find(path, follow=_FOLLOW in flags)
    try:
        return os.fstat(found)
    finally:
        os.close(found)


def _open_at(
    folder: Descriptor,
    flags: frozenset[str],
    path: str,
    making: frozenset[str],
    wanted: frozenset[str],
) -> Descriptor:
    return folder.open(path, follow=_FOLLOW in flags, making=making, wanted=wanted)


def _read(file: Descriptor, size: int, offset: int) -> tuple[bytes, bool]:
    data = os.pread(file.fd, min(size, MOST_READ), offset)
    return data, not data and size > 0


def _flags(descriptor: Descriptor) -> list[str]:
    writes = ["write"] if descriptor.writable else []
    return ["read", *writes, *(["mutate-directory"] if descriptor.mutable else [])]


def _in_parent(operation: Callable[..., Any]) -> Callable[..., None]:
    """Return a change of one name in a folder."""

    def change(folder: Descriptor, path: str) -> None:
        parent, name = folder.changeable_parent_of(path)
        try:
            operation(name, dir_fd=parent)
        finally:
            os.close(parent)

    return change


def _rename(folder: Descriptor, path: str, other: Descriptor, new: str) -> None:
    source, name = folder.changeable_parent_of(path)
    try:
        target, new_name = other.changeable_parent_of(new)
        try:
            os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _readlink(folder: Descriptor, path: str) -> str:
    parent, name = folder.parent_of(path)
    try:
        return os.readlink(name, dir_fd=parent)
    finally:
        os.close(parent)


def _entries(folder: Descriptor) -> list[tuple[str, str]]:
    with os.scandir(folder.fd) as found:
        return [(type_of(each.stat(follow_symlinks=False).st_mode), each.name) for each in found]


def _hash(found: os.stat_result) -> tuple[int, int]:
    return found.st_ino, found.st_dev


def _is_same(_instance: Instance, one: Descriptor, other: Descriptor) -> bool:
    return _hash(one.stat()) == _hash(other.stat())


def _unsupported(*_: object) -> Err:
    return Err("unsupported")


def _absent(*_: object) -> None:
    raise HandlerEndedError("the handler set a file's times, which is not there")


INTERFACES: Final[dict[str, Interface]] = {
    "wasi:filesystem/preopens": {
        "get-directories": Function(
            lambda instance: instance.folders, (), list_of(tuple_of(DESCRIPTOR.own, STRING))
        )
    },
    "wasi:filesystem/types": {
        "descriptor": DESCRIPTOR,
        "directory-entry-stream": ENTRIES,
        "filesystem-error-code": Function(lambda *_: None, (ERROR.borrow,), option_of(ENUM)),
        "[method]descriptor.read-via-stream": _method(FileInput, U64, gives=INPUT.own),
        "[method]descriptor.write-via-stream": _method(FileOutput, U64, gives=OUTPUT.own),
        "[method]descriptor.append-via-stream": _method(
            lambda file: FileOutput(file, None), gives=OUTPUT.own
        ),
        "[method]descriptor.advise": _method(lambda *_: None, U64, U64, ENUM),
        "[method]descriptor.sync-data": _method(lambda file: os.fdatasync(file.fd)),
        "[method]descriptor.sync": _method(lambda file: os.fsync(file.fd)),
        "[method]descriptor.get-flags": _method(_flags, gives=FLAGS),
        "[method]descriptor.get-type": _method(lambda it: type_of(it.stat().st_mode), gives=ENUM),
        "[method]descriptor.set-size": _method(lambda file, size: os.ftruncate(file.fd, size), U64),
        "[method]descriptor.set-times": Function(_absent),
        "[method]descriptor.set-times-at": Function(_absent),
        "[method]descriptor.read": _method(_read, U64, U64, gives=tuple_of(BYTES, BOOL)),
        "[method]descriptor.write": _method(
            lambda file, data, offset: os.pwrite(file.fd, data, offset), BYTES, U64, gives=U64
        ),
        "[method]descriptor.read-directory": _method(_entries, gives=ENTRIES.own),
        "[method]descriptor.create-directory-at": _method(
            _in_parent(lambda name, dir_fd: os.mkdir(name, NEW_FOLDER_MODE, dir_fd=dir_fd)), STRING
        ),
        "[method]descriptor.stat": _method(lambda it: _stat_record(it.stat()), gives=_STAT),
        "[method]descriptor.stat-at": _method(
            lambda *given: _stat_record(_stat_at(*given)), FLAGS, STRING, gives=_STAT
        ),
        "[method]descriptor.open-at": _method(
            _open_at, FLAGS, STRING, FLAGS, FLAGS, gives=DESCRIPTOR.own
        ),
        "[method]descriptor.readlink-at": _method(_readlink, STRING, gives=STRING),
        "[method]descriptor.remove-directory-at": _method(_in_parent(os.rmdir), STRING),
        "[method]descriptor.unlink-file-at": _method(_in_parent(os.unlink), STRING),
        "[method]descriptor.rename-at": _method(_rename, STRING, DESCRIPTOR.borrow, STRING),
        "[method]descriptor.link-at": Function(
            _unsupported,
            (DESCRIPTOR.borrow, FLAGS, STRING, DESCRIPTOR.borrow, STRING),
            result_of(None, ENUM),
        ),
        "[method]descriptor.symlink-at": Function(
            _unsupported, (DESCRIPTOR.borrow, STRING, STRING), result_of(None, ENUM)
        ),
        "[method]descriptor.is-same-object": Function(
            _is_same, (DESCRIPTOR.borrow, DESCRIPTOR.borrow), BOOL
        ),
        "[method]descriptor.metadata-hash": _method(lambda it: _hash(it.stat()), gives=_HASH),
        "[method]descriptor.metadata-hash-at": _method(
            lambda *given: _hash(_stat_at(*given)), FLAGS, STRING, gives=_HASH
        ),
        "[method]directory-entry-stream.read-directory-entry": Function(
            _attempted(lambda entries: entries.pop() if entries else None),
            (ENTRIES.borrow,),
            result_of(_ENTRY, ENUM),
        ),
    },
}
