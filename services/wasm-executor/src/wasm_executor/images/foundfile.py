"""Modules that lie as files where containers see them: compiled like an image, known by content.

Whoever writes such a file may write another one each second, so only the last few are kept; an
image that has the same content as one that goes is compiled again when it is next wanted.
"""

import asyncio
import hashlib
import os
import stat
from collections import OrderedDict
from pathlib import Path
from typing import Final

from wasm_executor.images.compiling import Compiler
from wasm_executor.images.errors import CompileError
from wasm_executor.images.index import ImageIndex
from wasm_executor.images.records import PreparedImage
from wasm_executor.images.store import ContentStore

KEPT: Final = 32
MAX_BYTES: Final = 256 << 20


class FoundFiles:
    """Those of one executor."""

    def __init__(self, compiler: Compiler, store: ContentStore, index: ImageIndex) -> None:
        self._compiler = compiler
        self._store = store
        self._index = index
        self._made: OrderedDict[str, None] = OrderedDict()

    async def ensure(self, name: str, descriptor: int) -> PreparedImage:
        """Return what the file holds now, ready to run; raise `ImageError`.

        The descriptor, of any kind, must stay open meanwhile.
        """
        path = Path(f"/proc/{os.getpid()}/fd/{descriptor}")
        digest, size = await asyncio.to_thread(_read, name, path)
        was_known = self._index.find_object(digest) is not None
        compiled = await self._compiler.compiled(name, digest, path)
        if digest in self._made or not was_known:
            await self._keep(digest)
        return PreparedImage(
            image=name,
            image_id=digest,
            manifest_digest=digest,
            layer_digest=digest,
            aot_path=self._store.object_path(compiled.digest, compiled.engine),
            facts=compiled.facts,
            size_bytes=size,
        )

    async def _keep(self, digest: str) -> None:
        self._made[digest] = None
        self._made.move_to_end(digest)
        while len(self._made) > KEPT:
            oldest, _ = self._made.popitem(last=False)
            compiled = self._index.forget_object(oldest)
            if compiled is not None:
                await asyncio.to_thread(self._store.remove_object, compiled)


def _read(name: str, path: Path) -> tuple[str, int]:
    """Return the content's digest and size. What it is by the time it is compiled is checked."""
    try:
        with path.open("rb") as file:
            seen = os.fstat(file.fileno())
            if not stat.S_ISREG(seen.st_mode):
                raise CompileError(f"{name} is not a regular file")
            if seen.st_size > MAX_BYTES:
                raise CompileError(f"{name} is larger than {MAX_BYTES >> 20} MiB")
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CompileError(f"cannot read {name}: {error.strerror}", retry=True) from error
    return f"sha256:{digest}", seen.st_size
