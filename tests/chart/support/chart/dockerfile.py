"""What an image brings to a container by its Dockerfile: entry point and variables.

The images of the services lay an environment down in /opt/wasmlet; here this checkout's own
environment is bound there, so that the entry point is run as it is written.
"""

import json
import re

import msgspec

from controlplane.building import REPOSITORY

ENVIRONMENT = "/opt/wasmlet"


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """Of an image that is not ours nothing is known: its pod must say the command."""

    entrypoint: list[str] = []
    env: dict[str, str] = {}


def image_named(reference: str) -> Image:
    """The image of one of our services by its name, whatever its registry and tag."""
    name = re.split(r"[:@]", reference.rpartition("/")[2])[0]
    stages = _stages()
    return _read(stages, name) if name in stages else Image()


def _stages() -> dict[str, tuple[str, str]]:
    """By name: what the stage starts from, and its lines."""
    text = (REPOSITORY / "Dockerfile").read_text().replace("\\\n", " ")
    stages = re.split(r"(?m)^FROM (\S+) AS (\S+)$", text)[1:]
    return dict(zip(stages[1::3], zip(stages[::3], stages[2::3], strict=True), strict=True))


def _read(stages: dict[str, tuple[str, str]], name: str) -> Image:
    start, own = stages[name]
    text = stages[start][1] + own
    entrypoint = re.search(r"^ENTRYPOINT (\[.*\])$", own, re.MULTILINE)
    assert entrypoint, name
    lines = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    env = dict(each.partition("=")[::2] for line in lines for each in line.split())
    return Image(entrypoint=json.loads(entrypoint[1]), env=env)
