"""What the lines of a CRI log say, without times, streams and tags.

A line is `TIME stdout|stderr TAG CONTENT`; of a part (tag `P`) no newline is shown. What is not
such a line is left out. Nearly all chunks have nothing but whole lines of the keeper's own form,
and one group for each of them takes half the time that two take. Long lines are mostly parts, of
which that pattern would look at every byte in vain.
"""

import re
from itertools import chain
from typing import Final

_DAY: Final = rb"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_STAMP: Final = _DAY + rb"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_KEEPERS: Final = re.compile(
    rb"^" + _STAMP + rb"\.\d{9}Z std(?:out|err) F ([^\n]*\n)", re.MULTILINE
)
_ANY: Final = re.compile(
    rb"^"
    + _STAMP
    + rb"(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
    + rb" std(?:out|err) (?:P(?::[^ \n]*)? ([^\n]*)\n?|[^ \n]* ([^\n]*\n?))",
    re.MULTILINE,
)

_LONG_LINE: Final = 512


def contents(lines: bytes) -> bytes:
    """Return what whole lines say."""
    count = lines.count(b"\n")
    if len(lines) < _LONG_LINE * count:
        said = _KEEPERS.findall(lines)
        if len(said) == count:
            return b"".join(said)
    return b"".join(chain.from_iterable(_ANY.findall(lines)))
