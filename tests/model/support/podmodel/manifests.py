"""The rules of hypothesis for a folder of manifests, and what all rules share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from podmodel.specs import specs
from podmodel.validation import Json
from podmodel.world import World

WHICH = st.integers(0, 7)
NAMES = ("s0", "s1")


def pick[T](things: Sequence[T], which: int) -> T | None:
    return things[which % len(things)] if things else None


class Manifests(RuleBasedStateMachine):
    """A world, and what may become of its static pods."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self._sound = True
        self._removed: dict[str, Json] = {}

    @contextmanager
    def step(self) -> Iterator[World]:
        self._sound = False
        yield self.world
        self.world.settle()
        self._sound = True

    @precondition(lambda self: len(self.world.folder.names) < len(NAMES))
    @rule(spec=specs())
    def add_a_manifest(self, spec: Json) -> None:
        with self.step() as world:
            name = next(each for each in NAMES if each not in world.folder.names)
            world.folder.put(name, self._removed.pop(name, spec))

    @precondition(lambda self: self.world.folder.names)
    @rule(which=WHICH)
    def remove_a_manifest(self, which: int) -> None:
        """The next one of its name is the same again."""
        if (name := pick(self.world.folder.names, which)) is not None:
            with self.step() as world:
                self._removed[name] = world.folder.drop(name)

    @precondition(lambda self: self.world.folder.names)
    @rule(which=WHICH)
    def change_a_manifest(self, which: int) -> None:
        if (name := pick(self.world.folder.names, which)) is not None:
            with self.step() as world:
                spec = deepcopy(world.folder.spec(name))
                first = spec["containers"][0]
                first["image"] = "guest:2" if first["image"] == "guest:1" else "guest:1"
                world.folder.put(name, spec)
