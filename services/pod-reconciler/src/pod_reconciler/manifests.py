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

type Stamp = tuple[int, int]
"""What changes when a file is written anew."""


class _File(msgspec.Struct, frozen=True, kw_only=True):
    stamp: Stamp
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
            stamps = {path: _stamp(path) for path in sorted(self._folder.iterdir())}
        except OSError as error:
            self._fail(f"{self._folder}: {error.strerror}")
            return
        self._folder_error = ""
        files = {}
        for path, stamp in stamps.items():
            if path.suffix in SUFFIXES and stamp is not None:
                files[path] = self._file(path, stamp)
        self._files = files

    @property
    def errors(self) -> list[str]:
        """A line for each thing that cannot be used."""
        lines = [line for file in self._files.values() for line in file.errors]
        duplicates = [
            f"{each.source}: another manifest is named {'/'.join(each.name)} already"
            for each in self._all()
            if each is not self._by_name()[each.name]
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

    def _file(self, path: Path, stamp: Stamp) -> _File:
        known = self._files.get(path)
        if known is not None and known.stamp == stamp:
            return known
        manifests, errors = _read(path)
        for line in errors:
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
    """The good documents of a file, and what is wrong with the others."""
    manifests: list[Manifest] = []
    errors: list[str] = []
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return [], [f"{path}: {' '.join(str(error).split())}"]
    for index, document in enumerate(documents):
        source = str(path) if len(documents) == 1 else f"{path} (document {index + 1})"
        if document is None:
            continue
        try:
            manifests.append(manifest_of(document, source, path.parent.resolve()))
        except ManifestError as error:
            errors.append(str(error))
    return manifests, errors


def _stamp(path: Path) -> Stamp | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
