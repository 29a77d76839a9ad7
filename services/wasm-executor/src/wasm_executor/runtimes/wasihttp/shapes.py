"""Which types a component may import a host function with: those that the host reads, no others.

wasmtime lets a component say what types it likes, and hands values of those over. Host functions
here read values where they lie in memory, by the types that WASI has: a number where a handle is
expected would be an address of the guest's choosing. So what differs is found before anything runs.
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from wasmtime import Engine
from wasmtime.component import (
    Component,
    ComponentInstanceType,
    FuncType,
    ListType,
    OptionType,
    RecordType,
    ResultType,
    TupleType,
    ValType,
    VariantType,
)


class Shape(NamedTuple):
    """One type as the binding names it, and those that it is made of."""

    kind: type[ValType]
    parts: tuple[tuple[str, "Shape | None"], ...] = ()


type Signature = tuple[tuple[Shape, ...], bool]
"""Of the parameters that are read, and whether a result is written, which wasmtime then checks."""
type Known = Mapping[str, Mapping[str, Signature]]
"""By interface and function."""

REVISION: Final = 1
"""Raise it when more is compared, or otherwise: what was found before then counts no more."""
_CHOICES: Final = (VariantType, ResultType)
"""A case that only one side knows is never read; WASI's versions differ in them."""


def others(component: Component, engine: Engine, known: Known) -> Iterator[str]:
    """Yield the functions that a component imports with other types than are known."""
    for name, extern in component.type.imports(engine).items():
        functions = known.get(name.partition("@")[0])
        if functions is None or not isinstance(extern.ty, ComponentInstanceType):
            continue
        for item, inner in extern.ty.exports(engine).items():
            signature = functions.get(item)
            if signature is not None and not _is_of(signature, inner.ty):
                yield f"{name}#{item}"


def name_of(known: Known) -> str:
    """Name these types and how they are compared: what was found by others has another name.

    It tells versions of this code from one another, and only this code writes it down.
    """
    text = "\n".join(
        f"{name}#{item} {' '.join(map(_text, parameters))} {has_result}"
        for name, items in sorted(known.items())
        for item, (parameters, has_result) in sorted(items.items())
    )
    return f"{REVISION}-{len(text)}-{zlib.crc32(text.encode()):08x}"


def _text(shape: Shape | None) -> str:
    if shape is None:
        return "-"
    parts = ",".join(f"{name}:{_text(part)}" for name, part in shape.parts)
    return f"{shape.kind.__name__}({parts})"


def _is_of(signature: Signature, given: object) -> bool:
    if not isinstance(given, FuncType):
        return False
    wanted, has_result = signature
    parameters = given.params
    return (
        len(parameters) >= len(wanted)
        and all(_agrees(shape, kind) for shape, (_, kind) in zip(wanted, parameters, strict=False))
        and (not has_result or given.result is not None)
    )


def _agrees(wanted: Shape, given: ValType) -> bool:
    if type(given) is not wanted.kind:
        return False
    found = _parts(given)
    if isinstance(given, _CHOICES):
        known = dict(wanted.parts)
        return all(_is_read_alike(known.get(name), part) for name, part in found)
    return len(found) == len(wanted.parts) and all(
        name == own and _is_read_alike(shape, part)
        for (own, shape), (name, part) in zip(wanted.parts, found, strict=True)
    )


def _is_read_alike(wanted: Shape | None, given: ValType | None) -> bool:
    """Whether a part is what it is taken for, or is taken for nothing."""
    return wanted is None or given is None or _agrees(wanted, given)


def _parts(given: ValType) -> list[tuple[str, Any]]:
    match given:
        case ListType() | OptionType():
            return [("", given.element if isinstance(given, ListType) else given.payload)]
        case TupleType():
            return [("", each) for each in given.elements]
        case RecordType():
            return given.fields
        case ResultType():
            return [("ok", given.ok), ("err", given.err)]
        case VariantType():
            return given.cases
        case _:
            return []
