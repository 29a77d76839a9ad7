"""The field table: which part of a Pod is honoured, ignored or refused. The one place that says so.

The rows are written down by topic; here they become one tree, against which a pod is walked.
"""

import re
from typing import Final

import msgspec

from podspec.container_fields import CONTAINER_FIELDS
from podspec.metadata_fields import METADATA_FIELDS
from podspec.pod_fields import POD_FIELDS
from podspec.rows import Row
from podspec.volume_fields import VOLUME_FIELDS

TABLE: Final[tuple[Row, ...]] = (*METADATA_FIELDS, *POD_FIELDS, *VOLUME_FIELDS, *CONTAINER_FIELDS)

ITEM: Final = "[]"
ANY_KEY: Final = "*"

_SEGMENT: Final = re.compile(r"(\[\])|\['([^']+)'\]|([^.\[]+)")


class Node(msgspec.Struct):
    """A place in the tree: either a row decides here, or the places below do."""

    row: Row | None = None
    below: dict[str, "Node"] = {}

    def child(self, key: str) -> "Node | None":
        """The place of a key; one named is preferred to any of its prefix, and that to any."""
        of_prefix = f"{key.partition('/')[0]}/{ANY_KEY}"
        return self.below.get(key) or self.below.get(of_prefix) or self.below.get(ANY_KEY)


def segments(path: str) -> tuple[str, ...]:
    """The steps of a row's path: `a[].b['c.d']` is a, [], b, c.d."""
    return tuple(item or quoted or key for item, quoted, key in _SEGMENT.findall(path))


def grow(rows: tuple[Row, ...]) -> Node:
    """The tree of these rows; raises ValueError if one decides over another, or twice."""
    root = Node()
    for row in rows:
        place = root
        for segment in segments(row.path):
            if place.row is not None:
                raise ValueError(f"{row.path} lies below {place.row.path}")
            place = place.below.setdefault(segment, Node())
        if place.row is not None or place.below:
            raise ValueError(f"{row.path} is decided twice")
        place.row = row
    return root


TREE: Final = grow(TABLE)
