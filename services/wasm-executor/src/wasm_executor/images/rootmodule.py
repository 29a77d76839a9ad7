"""Which file of an image's root file system is the module that a container runs.

The first word of the command line names it, as it names the program of any container: by its path,
from the working directory where the path is relative, or by a name that is looked up there and in
the folders of `PATH`.
"""

import hashlib
import os
import posixpath
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from wasm_executor.container.beneath import open_beneath, openable
from wasm_executor.images.errors import CompileError
from wasm_executor.images.records import ImageConfig, ImageRecord, Overrides
from wasm_executor.images.store import ContentStore

_REMEMBERED: Final = 1024


class Module(NamedTuple):
    """A file of a root file system, by its place on this machine."""

    path: Path
    digest: str


class RootModules:
    """Finds and hashes them; a root file system never changes, so each is hashed once."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store
        self._known: dict[tuple[str, tuple[str, ...]], Module] = {}

    def known(self, image: ImageRecord, overrides: Overrides) -> Module | None:
        return self._known.get(_key(image, overrides))

    def digests_in(self, folders: Collection[str]) -> set[str]:
        """Return the modules that have been found in these root file systems."""
        return {module.digest for (root, _), module in self._known.items() if root in folders}

    def find(self, name: str, image: ImageRecord, overrides: Overrides) -> Module:
        """Return the module; raise `CompileError` with the image's `name`. Blocks."""
        root = self._store.rootfs_path(image.rootfs)
        for path in _places(name, image.config, overrides):
            module = _module_at(root, path)
            if module is not None:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[_key(image, overrides)] = module
                return module
        wanted = command_line(image.config, overrides)[0]
        reason = "executable file not found in $PATH"
        if "/" in wanted:
            reason = f"stat {wanted}: no such file or directory"
        raise CompileError(f'no module in image "{name}": exec: "{wanted}": {reason}')


def command_line(config: ImageConfig, overrides: Overrides) -> tuple[str, ...]:
    """Return the whole argv by Kubernetes' rules; empty where nobody says anything.

    A command replaces the entrypoint, and the image's own arguments with it; args replace those.
    """
    if overrides.command:
        return (*overrides.command, *overrides.args)
    return (*config.entrypoint, *(overrides.args or config.cmd))


def working_folder(config: ImageConfig, overrides: Overrides) -> str:
    """Return the pod's, else the image's, else nothing; relative ones begin at the root."""
    given = overrides.working_dir or config.working_dir
    return posixpath.normpath("/" + given.lstrip("/")) if given else ""


def _key(image: ImageRecord, overrides: Overrides) -> tuple[str, tuple[str, ...]]:
    first = command_line(image.config, overrides)[:1]
    return image.rootfs, (*first, working_folder(image.config, overrides))


def _places(name: str, config: ImageConfig, overrides: Overrides) -> Iterator[str]:
    argv = command_line(config, overrides)
    if not argv or not argv[0]:
        raise CompileError(
            f'no command specified: image "{name}" has no entrypoint, so the container needs a '
            "command that names the module's file"
        )
    yield posixpath.join("/", working_folder(config, overrides), argv[0])
    if "/" not in argv[0]:
        path = dict(config.env).get("PATH", "")
        for folder in (*path.split(":"), "/"):
            yield posixpath.join("/", folder, argv[0])


def _module_at(root: Path, path: str) -> Module | None:
    with suppress(OSError, ValueError):
        descriptor = open_beneath(str(root), (path,))
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                with open(openable(descriptor), "rb") as file:  # noqa: PTH123 - a descriptor's
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                return Module(Path(openable(descriptor)).readlink(), f"sha256:{digest}")
        finally:
            os.close(descriptor)
    return None
