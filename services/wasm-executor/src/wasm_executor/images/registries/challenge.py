"""What a registry asks for with a 401: schemes and their parameters, as RFC 9110 writes them."""

import re
from typing import Final

import msgspec

_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105  # a word of the RFC
_PARAMETER: Final = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)')
_SCHEME: Final = re.compile(rf"[\s,]*({_TOKEN})(?=\s|,|$)")
_ESCAPED: Final = re.compile(r"\\(.)")
_LONGEST: Final = 8192


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """One scheme, in lower case."""

    scheme: str
    parameters: dict[str, str] = {}


def parse_challenges(header: str) -> list[Challenge]:
    """Return what can be read; what comes after something unreadable is left out."""
    found: list[Challenge] = []
    header, at = header[:_LONGEST], 0
    while at < len(header):
        parameter = _PARAMETER.match(header, at) if found else None
        if parameter is not None:
            name, quoted, plain = parameter.groups()
            found[-1].parameters[name.lower()] = plain or _ESCAPED.sub(r"\1", quoted or "")
            at = parameter.end()
            continue
        scheme = _SCHEME.match(header, at)
        if scheme is None:
            break
        found.append(Challenge(scheme=scheme[1].lower(), parameters={}))
        at = scheme.end()
    return found
