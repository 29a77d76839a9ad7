"""What a WebAssembly file wants and gives: its imports and exports, read without a compiler.

Only the sections that hold names are looked into. A file that is not whole is told as such; whether
its code is valid is the node's compiler's to say.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from wasmlet.errors import CommandLineError

_HEADER_BYTES: Final = 8
_LEB_LIMIT: Final = 10
_MODULE_IMPORTS: Final = 2
_MODULE_EXPORTS: Final = 7
_COMPONENT_IMPORTS: Final = 10
_COMPONENT_EXPORTS: Final = 11
_REFERENCES: Final = (0x63, 0x64)
"""Types that another number follows."""
_CORE_MODULE, _, _VALUE, _TYPE = range(4)
_FRESH_RESOURCE: Final = 1
_WITH_SUFFIX: Final = 2


class Names(NamedTuple):
    """In their order; an import of a module is `MODULE::NAME`."""

    imports: tuple[str, ...]
    exports: tuple[str, ...]


def names_of_module(content: bytes) -> Names:
    """Return a module's names, or raise `CommandLineError`."""
    return _names(content, _MODULE_IMPORTS, _MODULE_EXPORTS, component=False)


def names_of_component(content: bytes) -> Names:
    """Return a component's own names, none of what it is made of; or raise `CommandLineError`."""
    return _names(content, _COMPONENT_IMPORTS, _COMPONENT_EXPORTS, component=True)


def _names(content: bytes, imports: int, exports: int, *, component: bool) -> Names:
    read_import = _component_import if component else _module_import
    read_export = _component_export if component else _module_export
    found: dict[int, list[str]] = {imports: [], exports: []}
    try:
        for number, section in _sections(content):
            if number in found:
                read = read_import if number == imports else read_export
                found[number] += [read(section) for _ in range(section.number())]
    except (IndexError, ValueError) as error:
        raise CommandLineError(f"it cannot be read as WebAssembly: {error}") from error
    return Names(tuple(found[imports]), tuple(found[exports]))


class _Bytes:
    def __init__(self, content: bytes, at: int, end: int) -> None:
        self._content = content
        self._end = end
        self.at = at

    @property
    def left(self) -> bool:
        return self.at < self._end

    def take(self, count: int) -> bytes:
        if self.at + count > self._end:
            raise ValueError("the file ends too early")
        taken = self._content[self.at : self.at + count]
        self.at += count
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        """Read an unsigned LEB128 number; a signed one has the same length."""
        value = 0
        for index in range(_LEB_LIMIT):
            byte = self.byte()
            value |= (byte & 0x7F) << (7 * index)
            if not byte & 0x80:
                return value
        raise ValueError("a number has no end")

    def name(self) -> str:
        return self.take(self.number()).decode()

    def part(self, count: int) -> "_Bytes":
        start = self.at
        self.take(count)
        return _Bytes(self._content, start, self.at)


def _sections(content: bytes) -> Iterator[tuple[int, _Bytes]]:
    rest = _Bytes(content, _HEADER_BYTES, len(content))
    while rest.left:
        number = rest.byte()
        yield number, rest.part(rest.number())


def _module_import(section: _Bytes) -> str:
    owner, name = section.name(), section.name()
    kind = section.byte()
    if kind not in _SKIPS:
        raise ValueError(f"an import is of kind {kind}, which nobody knows")
    _SKIPS[kind](section)
    return f"{owner}::{name}"


def _skip_index(section: _Bytes) -> None:
    section.number()


def _skip_table(section: _Bytes) -> None:
    _skip_type(section)
    _skip_limits(section)


def _skip_global(section: _Bytes) -> None:
    _skip_type(section)
    section.byte()


def _skip_tag(section: _Bytes) -> None:
    section.byte()
    section.number()


def _skip_type(section: _Bytes) -> None:
    if section.byte() in _REFERENCES:
        section.number()


def _skip_limits(section: _Bytes) -> None:
    flags = section.byte()
    section.number()
    if flags & 1:
        section.number()


_SKIPS: Final = {
    0: _skip_index,
    1: _skip_table,
    2: _skip_limits,
    3: _skip_global,
    4: _skip_tag,
}
"""By the kind of an import: functions, tables, memories, globals, tags."""


def _module_export(section: _Bytes) -> str:
    name = section.name()
    section.byte()
    section.number()
    return name


def _component_import(section: _Bytes) -> str:
    name = _component_name(section)
    _skip_description(section)
    return name


def _component_export(section: _Bytes) -> str:
    name = _component_name(section)
    if section.byte() == 0:  # of the core: which kind of that
        section.byte()
    section.number()
    if section.byte():
        _skip_description(section)
    return name


def _component_name(section: _Bytes) -> str:
    form = section.byte()
    name = section.name()
    if form == _WITH_SUFFIX:
        section.name()
    return name


def _skip_description(section: _Bytes) -> None:
    sort = section.byte()
    if sort == _CORE_MODULE:
        section.byte()
        section.number()
    elif sort == _TYPE and section.byte() == _FRESH_RESOURCE:
        return
    elif sort == _VALUE:
        section.byte()
        section.number()
    else:
        section.number()
