"""From which resourceVersion to list, and what to ask for. Pure.

A list at version 0 may be arbitrarily old: right for the very first sync, when there is nothing to
lose, and wrong ever after, for it would bring deleted pods back and hide new ones. So a relist asks
for at least the last version seen, and for the latest where that version is no longer to be had.
"""

from enum import StrEnum
from typing import Final

import msgspec

from kubekit.errors import (
    ApiError,
    GoneError,
    MalformedAnswerError,
    ServerError,
)

PAGE_LIMIT: Final = 500


class Start(StrEnum):
    """Where the next list starts from."""

    ANY = "any"
    NOT_OLDER = "not-older"
    LATEST = "latest"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Which objects: a collection's path, and selectors."""

    path: str
    field_selector: str = ""
    label_selector: str = ""

    def selectors(self) -> dict[str, str]:
        """The part of the query that list and watch have in common."""
        pairs = {"fieldSelector": self.field_selector, "labelSelector": self.label_selector}
        return {key: value for key, value in pairs.items() if value}


class Position:
    """How far this reflector has seen, and how it has to go on after each error."""

    def __init__(self) -> None:
        self.version = ""
        self.must_list = True
        self._start = Start.ANY

    def list_query(self, continue_token: str) -> dict[str, str]:
        """The query of one page. A continued list carries its version in the token."""
        query = {"limit": str(PAGE_LIMIT)}
        if continue_token:
            return query | {"continue": continue_token}
        match self._start:
            case Start.ANY:
                return query | {"resourceVersion": "0"}
            case Start.NOT_OLDER:
                match = {"resourceVersionMatch": "NotOlderThan"}
                return query | {"resourceVersion": self.version} | match
            case Start.LATEST:
                return query

    def watch_query(self, timeout_s: int) -> dict[str, str]:
        """The query of a watch from here."""
        return {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self.version,
            "timeoutSeconds": str(timeout_s),
        }

    def listed(self, version: str) -> None:
        """A whole list was taken in, and this was its version."""
        self.seen(version)
        self.must_list = False

    def seen(self, version: str) -> None:
        """An event or bookmark of this version was taken in."""
        if version:
            self.version = version
            self._start = Start.NOT_OLDER

    def failed(self, error: ApiError) -> None:
        """Choose how to go on. A lost connection alone needs no list: watch on from here."""
        if isinstance(error, GoneError) or _is_too_new(error):
            self.must_list, self._start = True, Start.LATEST
        elif isinstance(error, MalformedAnswerError):
            self.must_list = True
        elif not error.retryable:
            # A version that the server cannot even read, say. The latest is always to be had.
            self._start = Start.LATEST if self.must_list else self._start
            self.must_list = True


def _is_too_new(error: ApiError) -> bool:
    return isinstance(error, ServerError) and error.is_version_too_new
