"""Is it WebAssembly at all? Asked before a compiler sees it.

The compiler's own messages speak of offsets. Users meet three mistakes: an empty file, something
that is not WebAssembly, and half a file; each gets a sentence.
"""

from typing import Final

from wasm_executor.images.errors import CompileError
from wasm_executor.images.records import ArtifactKind

_MAGIC: Final = b"\0asm"
HEADER_BYTES: Final = 8
_KINDS: Final = {
    b"\x01\x00\x00\x00": ArtifactKind.MODULE,
    b"\x0d\x00\x01\x00": ArtifactKind.COMPONENT,
}
_OTHERS: Final = {b"\x7fELF": ": it is a program for Linux", b"#!": ": it is a script"}
_LEB_LIMIT: Final = 5


def check_wasm(content: bytes) -> ArtifactKind:
    """Return what the header says, or raise `CompileError` when the file cannot be whole."""
    kind = kind_of_header(content)
    _check_sections(content)
    return kind


def kind_of_header(content: bytes) -> ArtifactKind:
    """Return what a file is that begins so; raise `CompileError`."""
    if not content:
        raise CompileError("the file is empty, want a WebAssembly module or component")
    if content[:4] != _MAGIC[: len(content)]:
        start = content[:4].hex(" ")
        hint = next((hint for magic, hint in _OTHERS.items() if content.startswith(magic)), "")
        raise CompileError(f"not WebAssembly: the file begins with {start}, want 00 61 73 6d{hint}")
    if len(content) < HEADER_BYTES:
        raise CompileError(f"truncated: the file ends after {len(content)} bytes, in its header")
    kind = _KINDS.get(content[4:HEADER_BYTES])
    if kind is None:
        version = content[4:HEADER_BYTES].hex(" ")
        raise CompileError(f"unknown WebAssembly version {version}: neither module nor component")
    return kind


def _check_sections(content: bytes) -> None:
    """Follow the section sizes to the end of the file."""
    position = HEADER_BYTES
    while position < len(content):
        size, start = _read_size(content, position + 1)
        if start + size > len(content):
            missing = start + size - len(content)
            raise CompileError(
                f"truncated: the section at byte {position} is {size} bytes long, "
                f"and {missing} of them are missing"
            )
        position = start + size


def _read_size(content: bytes, position: int) -> tuple[int, int]:
    """Return an unsigned LEB128 number and the position behind it."""
    value = 0
    for index in range(_LEB_LIMIT):
        if position + index >= len(content):
            raise CompileError("truncated: the file ends inside the size of a section")
        byte = content[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value, position + index + 1
    raise CompileError(f"malformed: the section size at byte {position} has no end")
