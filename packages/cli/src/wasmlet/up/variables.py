"""The environment of `wasmlet up`, read here and nowhere else in this package."""

import os
from pathlib import Path


def variable(name: str) -> str | None:
    """Return an environment variable, None where it is unset or empty."""
    return os.environ.get(name) or None  # noqa: TID251 - see above


def home_folder() -> Path:
    """Return the user's home."""
    return Path.home()


def inherited() -> dict[str, str]:
    """Return what services inherit: everything but WASMLET_* variables, which `up` decides."""
    return {k: v for k, v in os.environ.items() if not k.startswith("WASMLET_")}  # noqa: TID251 - see above
