"""Reading the folder of static pods: all that is right is used, all that is wrong is told.

A file that cannot be read now keeps the pods that it had before: a typing mistake stops nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import structlog
import yaml

from pod_reconciler.domain.manifest import Manifest, manifest_of
from pod_reconciler.errors import ManifestError

log = structlog.get_logger()

SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


class _Loader(yaml.SafeLoader):
    """What looks like a time stays the text that it is, as it does for `kubectl apply`."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

type Stamp = tuple[int, int, int, int]
"""What changes when a file is written anew, or may be read by others."""


class _File(msgspec.Struct, frozen=True, kw_only=True):
    stamp: Stamp | None
    """None where it could not be read: what is in the way may go, and leave the file as it is."""
    manifests: tuple[Manifest, ...]
    errors: tuple[str, ...]


class ManifestFolder:
    """The folder as it was when it was last read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, _File] = {}
        self._folder_error = ""

    def read(self) -> None:
        """Look again at what has changed. One that is missing keeps everything as it was."""
        try:
            paths = [path for path in sorted(self._folder.iterdir()) if _is_manifest(path)]
        except OSError as error:
            self._fail(f"{self._folder}: {error.strerror}")
            return
        self._folder_error = ""
        self._files = {path: self._file(path) for path in paths}

    @property
    def errors(self) -> list[str]:
        """A line for each thing that cannot be used."""
        lines = [line for file in self._files.values() for line in file.errors]
        named = self._by_name()
        duplicates = [
            f"{each.source}: another manifest is named {'/'.join(each.name)} already"
            for each in self._all()
            if each is not named[each.name]
        ]
        return [*([self._folder_error] if self._folder_error else []), *lines, *duplicates]

    @property
    def manifests(self) -> list[Manifest]:
        """What can be used; the first of several that claim one name."""
        return list(self._by_name().values())

    def _by_name(self) -> dict[tuple[str, str], Manifest]:
        named: dict[tuple[str, str], Manifest] = {}
        for manifest in self._all():
            named.setdefault(manifest.name, manifest)
        return named

    def _all(self) -> Iterator[Manifest]:
        for file in self._files.values():
            yield from file.manifests

    def _file(self, path: Path) -> _File:
        known = self._files.get(path)
        stamp: Stamp | None
        try:
            stamp = _stamp(path)
            if known is not None and known.stamp == stamp:
                return known
            manifests, errors = _read(path)
        except OSError as error:
            stamp, manifests, errors = None, [], [f"{path}: {error.strerror}"]
        for line in errors:
            if known is None or line not in known.errors:
                log.error("manifest.refused", problem=line)
        kept = known.manifests if known is not None and errors else ()
        return _File(stamp=stamp, manifests=_merged(manifests, kept), errors=tuple(errors))

    def _fail(self, line: str) -> None:
        if line != self._folder_error:
            log.error("manifest.refused", problem=line)
        self._folder_error = line


def _merged(new: list[Manifest], kept: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
    names = {each.name for each in new}
    return (*new, *(each for each in kept if each.name not in names))


def _read(path: Path) -> tuple[list[Manifest], list[str]]:
    """The good documents of a file, and what is wrong with the others; raises `OSError`."""
    manifests: list[Manifest] = []
    errors: list[str] = []
    if not path.is_file():  # to open a named pipe would wait for its writer
        return [], [f"{path}: this is no regular file"]
    content = path.read_bytes()
    try:
        documents = list(yaml.load_all(content.decode("utf-8"), _Loader))
    except Exception as error:  # noqa: BLE001 - PyYAML raises anything for a value it cannot make
        return [], [f"{path}: {_in_one_line(error)}"]
    for index, document in enumerate(documents):
        source = str(path) if len(documents) == 1 else f"{path} (document {index + 1})"
        if document is None:
            continue
        try:
            manifests.append(manifest_of(document, source, path.parent.resolve()))
        except ManifestError as error:
            errors.append(str(error))
        except Exception as error:  # noqa: BLE001 - YAML makes what no JSON holds: loops, integers without end
            errors.append(f"{source}: {_in_one_line(error)}")
    return manifests, errors


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _is_manifest(path: Path) -> bool:
    """By its name, as a kubelet has it: hidden files are what editors and mounts leave there."""
    return path.suffix in SUFFIXES and not path.name.startswith(".")


def _stamp(path: Path) -> Stamp:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size
