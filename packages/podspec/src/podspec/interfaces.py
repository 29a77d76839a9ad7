"""Which interfaces of WASI a guest is given, by the names that components use. Pure.

A name is `wasi:PACKAGE/INTERFACE@VERSION`. What is made for another version has other types below
the same names, so it is told by its version.
"""

import re
from collections.abc import Iterable
from typing import Final

VERSION: Final = "0.2"
"""The version of WASI that components get."""
RUN: Final = f"wasi:cli/run@{VERSION}"
"""What a command exports."""
HANDLER: Final = f"wasi:http/incoming-handler@{VERSION}"
"""What an HTTP handler exports."""

_FOR_ALL: Final = tuple(
    f"wasi:{package}/" for package in ("cli", "clocks", "filesystem", "io", "random", "sockets")
)
_FOR_HANDLERS: Final = (*_FOR_ALL, "wasi:http/")
_NAMED: Final = re.compile(r"wasi:[^@]*@([0-9]+\.[0-9]+)\.")
_OTHER: Final = re.compile(
    rb"wasi:[a-z0-9-]+/[a-z0-9-]+@(?!%s\.)[0-9]+\.[0-9]+\.[0-9]+" % re.escape(VERSION).encode()
)


def is_given(name: str, *, to_handler: bool) -> bool:
    """Say whether a component may import this; handlers have more than commands."""
    return wasi_of(name) == VERSION and name.startswith(_FOR_HANDLERS if to_handler else _FOR_ALL)


def wasi_of(name: str) -> str | None:
    """Return the version of WASI that a name belongs to (`0.2`), None where it is another's."""
    found = _NAMED.match(name)
    return None if found is None else found[1]


def versions_of(names: Iterable[str]) -> list[str]:
    """Return the versions of WASI that these names belong to."""
    return sorted({version for version in map(wasi_of, names) if version is not None})


def others_in(component: bytes) -> list[str]:
    """Return the interfaces of another WASI than ours that a component names somewhere."""
    return sorted({found.decode() for found in _OTHER.findall(component)})
