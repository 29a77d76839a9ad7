"""Runs of `wasmlet check`, and the manifests that they judge."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from wasmlet.__main__ import main

type Json = dict[str, Any]

FINE: Json = {"containers": [{"name": "main", "image": "i"}]}
ODD: Json = FINE | {"hostPID": True}
REFUSED = "spec.hostPID: refused: a guest sees no processes"


class Checked:
    """A run of the command in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> None:
        self.exit_code = main(["check", *map(str, arguments)])
        captured = capsys.readouterr()
        self.lines = captured.out.splitlines()
        self.unplaced = [re.sub(r"^([^:]+):[0-9]+: ", r"\1: ", line) for line in self.lines]
        """The same without the number of the line in the manifest."""
        self.errors = captured.err.splitlines()


def write(name: str, *documents: Json) -> str:
    Path(name).write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return name


def pod(spec: Json, name: str = "p") -> Json:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
