"""What an image brings to a container by its Dockerfile: entry point and variables.

The images of the services lay an environment down in /opt/wasmlet; here this checkout's own
environment is bound there, so that the entry point is run as it is written.
"""

import json
import re
from typing import NamedTuple

import msgspec

from controlplane.building import REPOSITORY

DOCKERFILE = REPOSITORY / "Dockerfile"
ENVIRONMENT = "/opt/wasmlet"


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """Of an image that is not ours nothing is known: its pod must say the command."""

    entrypoint: list[str] = []
    env: dict[str, str] = {}


class Stage(NamedTuple):
    """What it starts from, and its instructions, each in one line and without comments."""

    start: str
    instructions: list[str]

    @property
    def variables(self) -> dict[str, str]:
        """What its own ENV instructions set."""
        given = (line.partition(" ") for line in self.instructions)
        pairs = (pair for word, _, pairs in given if word == "ENV" for pair in pairs.split())
        return dict(pair.partition("=")[::2] for pair in pairs)


def image_named(reference: str) -> Image:
    """The image of one of our services by its name, whatever its registry and tag."""
    name = re.split(r"[:@]", reference.rpartition("/")[2])[0]
    known = stages()
    if name not in known:
        return Image()
    own = known[name]
    (entrypoint,) = (line for line in own.instructions if line.startswith("ENTRYPOINT "))
    return Image(
        entrypoint=json.loads(entrypoint.partition(" ")[2]),
        env=known[own.start].variables | own.variables,
    )


def stages() -> dict[str, Stage]:
    """All of the Dockerfile, by name."""
    text = re.sub(r"(?m)^#.*\n", "", DOCKERFILE.read_text()).replace("\\\n", " ")
    parts = re.split(r"(?m)^FROM (\S+) AS (\S+)$", text)[1:]
    return {
        name: Stage(start, lines.strip().splitlines())
        for start, name, lines in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    }
