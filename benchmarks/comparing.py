"""Two files of figures beside each other: before, after, and the ratio."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec


def print_comparison(before: Path, after: Path) -> None:
    """Print each number that both files have under the same name."""
    first, second = _figures(before), _figures(after)
    shared = [name for name in first if name in second]
    width = max((len(name) for name in shared), default=0)
    print(f"{'':<{width}} {'before':>12} {'after':>12} {'ratio':>7}")
    for name in shared:
        old, new = first[name], second[name]
        ratio = f"{new / old:7.2f}" if old else f"{'':>7}"
        print(f"{name:<{width}} {old:>12g} {new:>12g} {ratio}")


def _figures(file: Path) -> dict[str, float]:
    return dict(_numbers(msgspec.json.decode(file.read_bytes())))


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    match value:
        case bool() | str() | None:
            return
        case dict():
            for key, part in value.items():
                yield from _numbers(part, f"{name}.{key}" if name else key)
        case list():
            for index, part in enumerate(value):
                yield from _numbers(part, f"{name}[{index}]")
        case _:
            yield name, float(value)
