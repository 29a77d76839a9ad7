"""Files of variables, in the strict form that a kubelet reads (its `ParseEnv`).

    NAME='value'   # a comment

A value may have several lines. What a shell would read otherwise is refused, not guessed at.
"""

from collections.abc import Iterator
from typing import Final

_BLANKS: Final = " \t"


class EnvFileError(ValueError):
    """The file is no such file."""


def value_in(text: str, key: str) -> str:
    """Return the first value of this key; empty where it has none, as where it is not there."""
    lines = iter(_lines(text))
    for line in lines:
        entry = line.lstrip(_BLANKS)
        if not entry or entry.startswith("#"):
            continue
        name, value = _entry(entry, lines)
        if name == key:
            return value
    return ""


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [each.removesuffix("\r") for each in lines]


def _entry(entry: str, rest: Iterator[str]) -> tuple[str, str]:
    name, equals, value = entry.partition("=")
    if not equals:
        raise EnvFileError("missing '='")
    if not name or name != name.rstrip(_BLANKS):
        raise EnvFileError("no name, or whitespace before '='")
    if value != value.lstrip(_BLANKS):
        return name, ""  # as for a shell: it is empty, and something else comes after it
    if not value.startswith("'"):
        raise EnvFileError("value must be enclosed in single quotes")
    return name, _quoted(value[1:], rest)


def _quoted(value: str, rest: Iterator[str]) -> str:
    while "'" not in value:
        following = next(rest, None)
        if following is None:
            raise EnvFileError("unclosed single quote")
        value = f"{value}\n{following}"
    value, _, after = value.partition("'")
    if after.lstrip(_BLANKS) and not after.lstrip(_BLANKS).startswith("#"):
        raise EnvFileError("unexpected content after closing quote")
    return value
