"""Runs the real Helm against one control plane, away from the developer's own settings."""

import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from controlplane import Programs
from controlplane.building import REPOSITORY
from controlplane.processes import bare_environment

CHART = REPOSITORY / "helm" / "wasmlet"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
NAMESPACE = "wasmlet-system"
RELEASE = "wasmlet"


class HelmError(Exception):
    """Helm refused; the message is its own."""


class Helm:
    """`helm("lint", ...)`; the caches lie in `home`."""

    def __init__(self, programs: Programs, home: Path, kubeconfig: Path | None = None) -> None:
        self._program = programs.path("helm")
        self._home = home
        self._kubeconfig = kubeconfig
        self._rendered: dict[tuple[str, ...], list[dict[str, Any]]] = {}

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """What Helm writes; raises `HelmError` for an exit code that is not 0, if told."""
        # A name that leads nowhere: rendering must not look at a cluster of the developer's.
        kubeconfig = self._kubeconfig or self._home / "no-kubeconfig"
        answer = subprocess.run(
            [self._program, *arguments, f"--kubeconfig={kubeconfig}"],
            capture_output=True,
            text=True,
            check=False,
            env=bare_environment(self._home),
        )
        if check and answer.returncode != 0:
            raise HelmError(f"helm {' '.join(arguments)}: {answer.stdout}{answer.stderr}")
        return answer.stdout if check else answer.stdout + answer.stderr

    def render(self, *options: str) -> list[dict[str, Any]]:
        """The objects that an installation with these options consists of; rendered once."""
        if options not in self._rendered:
            command = ("template", RELEASE, str(CHART), f"--namespace={NAMESPACE}")
            objects = [each for each in yaml.safe_load_all(self(*command, *options)) if each]
            self._rendered[options] = objects
        return deepcopy(self._rendered[options])


def installing(values: Path, *more: str) -> list[str]:
    """Options of an installation or upgrade that returns when everything is Ready."""
    wait = ("--wait", "--timeout=180s")
    return [f"--namespace={NAMESPACE}", "-f", str(values), *wait, *more]
