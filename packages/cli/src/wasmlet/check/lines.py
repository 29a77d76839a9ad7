"""On which line of a file a field is, by the marks that the YAML parser leaves."""

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final, Self

import yaml

type Step = str | int
"""A key of a mapping, or a position in a list."""

_STEP: Final = re.compile(r"\[([0-9]+)\]|\['([^']+)'\]|([^.\[]+)")


class Lines:
    """The lines of one document; `compose` is asked for its nodes only when one is wanted."""

    def __init__(self, compose: Callable[[], yaml.Node | None]) -> None:
        self._compose = compose

    @classmethod
    def of_node(cls, root: yaml.Node | None) -> Self:
        """The lines of what is composed already."""
        return cls(lambda: root)

    @classmethod
    def of_one_line(cls) -> Self:
        """The lines of a text that has only one."""
        return cls(lambda: yaml.ScalarNode("", "", yaml.Mark("", 0, 0, 0, None, 0)))

    @cached_property
    def _root(self) -> yaml.Node | None:
        try:
            return self._compose()
        except (yaml.YAMLError, RecursionError):  # JSON that is no YAML
            return None

    def of(self, steps: Sequence[Step]) -> int | None:
        """The line of a field, counted from 1; of one that is not there, what it would be in.

        None where the text has no marks.
        """
        if self._root is None:
            return None
        place, mark = self._root, self._root.start_mark
        for step in steps:
            found = _below(place, step)
            if found is None:
                break
            mark, place = found
        return int(mark.line) + 1


def steps_of(path: str) -> list[Step]:
    """The steps of a finding's path: `a[0].b['c.d']` is a, 0, b, c.d."""
    return [
        int(position) if position else quoted or key
        for position, quoted, key in _STEP.findall(path)
    ]


def _below(place: yaml.Node, step: Step) -> tuple[yaml.Mark, yaml.Node] | None:
    """Where a step is written, and what is there."""
    if isinstance(place, yaml.SequenceNode) and isinstance(step, int):
        if step < len(place.value):
            item = place.value[step]
            return item.start_mark, item
    elif isinstance(place, yaml.MappingNode):
        for key, value in reversed(place.value):  # of two, YAML takes the last
            if key.value == step:
                return key.start_mark, value
    return None
