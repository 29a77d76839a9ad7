"""Header fields as `wasi:http` has them: ordered, names in lower case, values bytes."""

import re
from collections.abc import Iterable
from typing import Final

FORBIDDEN: Final = frozenset(
    (
        "connection",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    )
)
"""Of the connection, which is the host's: a guest may not set them."""
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE: Final = re.compile(rb"[^\0\r\n]*")


def lines(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """Return them as they are sent."""
    return b"".join([b"%b: %b\r\n" % (name.encode(), value) for name, value in entries])


class FieldsError(Exception):
    """Why a field is refused; `tag` is a case of `header-error`."""

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.tag = tag


class Fields:
    """One message's headers or trailers."""

    def __init__(self, entries: Iterable[tuple[str, bytes]] = (), *, mutable: bool = True) -> None:
        self.entries = list(entries)
        self.mutable = mutable

    def get(self, name: str) -> list[bytes]:
        name = name.lower()
        return [value for key, value in self.entries if key == name]

    def has(self, name: str) -> bool:
        name = name.lower()
        return any(key == name for key, _ in self.entries)

    def set(self, name: str, values: list[bytes]) -> None:
        name = self._checked(name, values)
        self.entries = [each for each in self.entries if each[0] != name]
        self.entries += [(name, value) for value in values]

    def append(self, name: str, value: bytes) -> None:
        self.entries.append((self._checked(name, [value]), value))

    def delete(self, name: str) -> None:
        name = self._checked(name, [])
        self.entries = [each for each in self.entries if each[0] != name]

    def clone(self) -> "Fields":
        return Fields(self.entries)

    def frozen(self) -> "Fields":
        """Return them as they are from now on."""
        return Fields(self.entries, mutable=False)

    def _checked(self, name: str, values: list[bytes]) -> str:
        if not self.mutable:
            raise FieldsError("immutable")
        name = name.lower()
        if _NAME.fullmatch(name) is None or any(_VALUE.fullmatch(each) is None for each in values):
            raise FieldsError("invalid-syntax")
        if name in FORBIDDEN:
            raise FieldsError("forbidden")
        return name
