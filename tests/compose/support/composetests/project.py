"""compose.yaml as data: anchors resolved, variables at their defaults."""

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

REPOSITORY: Final = Path(__file__).resolve().parents[4]
_VARIABLE: Final = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")


@cache
def project() -> dict[str, Any]:
    text = (REPOSITORY / "compose.yaml").read_text()
    loaded: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(r"\1", text))
    return loaded


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = project()["services"]
    return found
