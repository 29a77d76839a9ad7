"""What an image brings to a container by its Dockerfile: entry point and variables.

The images of the services lay an environment down in /opt/wasmlet; here this checkout's own
environment is bound there, so that the entry point is run as it is written.
"""

import json
import re
from pathlib import Path

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
    dockerfile = REPOSITORY / "services" / name / "Dockerfile"
    return _read(dockerfile) if dockerfile.exists() else Image()


def _read(dockerfile: Path) -> Image:
    text = dockerfile.read_text().replace("\\\n", " ")
    last_stage = text[text.rindex("\nFROM ") :]
    entrypoint = re.search(r"^ENTRYPOINT (\[.*\])$", last_stage, re.MULTILINE)
    assert entrypoint, dockerfile
    lines = re.findall(r"^ENV (.*)$", last_stage, re.MULTILINE)
    env = dict(each.partition("=")[::2] for line in lines for each in line.split())
    return Image(entrypoint=json.loads(entrypoint[1]), env=env)
