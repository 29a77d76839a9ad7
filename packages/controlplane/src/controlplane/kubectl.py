"""Runs the kubectl that belongs to a control plane, away from the developer's own settings."""

import json
import subprocess
from pathlib import Path
from typing import Any

from controlplane.errors import KubectlError
from controlplane.processes import bare_environment


class Kubectl:
    """`kubectl("get", "nodes")`; its caches lie in `home`, not in the developer's."""

    def __init__(self, program: str, home: Path, kubeconfig: Path) -> None:
        self._program = program
        self._home = home
        self._kubeconfig = kubeconfig

    def __call__(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs to the end; `kubeconfig` makes it somebody other than the administrator."""
        answer = subprocess.run(
            self.command(*arguments, kubeconfig=kubeconfig),
            input=stdin or "",
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
        )
        if check and answer.returncode != 0:
            raise KubectlError(arguments, answer.returncode, answer.stderr)
        return answer

    @property
    def environment(self) -> dict[str, str]:
        return bare_environment(self._home)

    def command(self, *arguments: str, kubeconfig: Path | None = None) -> list[str]:
        """The command line, for those who follow its output while it runs."""
        return [self._program, f"--kubeconfig={kubeconfig or self._kubeconfig}", *arguments]

    def get(self, *arguments: str) -> Any:
        """`kubectl get ... -o json`, decoded."""
        return json.loads(self("get", *arguments, "-o", "json").stdout)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Applies objects."""
        self("apply", "-f", "-", stdin=json.dumps(as_list(objects)))

    def create(self, *objects: dict[str, Any]) -> None:
        """Creates objects; fails for those that exist."""
        self("create", "-f", "-", stdin=json.dumps(as_list(objects)))


def as_list(objects: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}
