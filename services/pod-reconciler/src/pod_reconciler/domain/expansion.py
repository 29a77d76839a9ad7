"""`$(VAR)` in commands, arguments and environment, as the kubelet expands it.

`$$` is a dollar sign, so `$$(VAR)` stays `$(VAR)`; a name that is not known stays as it was
written; an opening without its closing parenthesis is text.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

_REFERENCE: Final = re.compile(r"\$\$|\$\(([^)]*)\)")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return the text with its references resolved."""
    if "$" not in text:
        return text

    def resolved(reference: re.Match[str]) -> str:
        name = reference[1]
        return "$" if name is None else variables.get(name, reference[0])

    return _REFERENCE.sub(resolved, text)


def names_in(text: str) -> Iterator[str]:
    """Every name that the text refers to."""
    for reference in _REFERENCE.finditer(text):
        if reference[1] is not None:
            yield reference[1]
