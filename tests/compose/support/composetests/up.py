"""A compose project on the tests' engine, and kubectl with the kubeconfig that it makes."""

import json
from pathlib import Path
from typing import Any, Final

from composetests.engine import Engine, run
from composetests.project import REPOSITORY
from controlplane.building import GoModule, build_control_plane, built
from controlplane.ports import free_ports
from controlplane.settings import read_settings

PROJECT: Final = "wasmlet-test"
USER: Final = 1234  # who has the checkout; the engine's containers are root's
COMPOSE: Final = GoModule(
    folder=REPOSITORY / "tests" / "compose" / "go",
    cache="compose",
    programs=("docker-compose",),
    renamed={"cmd": "docker-compose"},
)


class Up:
    """`docker compose` in a folder with a copy of the project's files."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.kubeconfig = folder / ".dev" / "compose" / "kubeconfig"
        api_port, registry_port, self.prometheus_port = free_ports(3)
        self._environ = {
            **engine.environ,
            "API_PORT": str(api_port),
            "REGISTRY_PORT": str(registry_port),
            "PROMETHEUS_PORT": str(self.prometheus_port),
        }
        self._program = built(COMPOSE, read_settings()).path("docker-compose")
        self._kubectl = build_control_plane().path("kubectl")

    def compose(self, *arguments: str) -> str:
        command = [self._program, f"--project-name={PROJECT}", *arguments]
        return run(command, self._environ, cwd=self.folder)

    def up(self, *arguments: str) -> None:
        """As a user does it, but for the images, which are there."""
        self.compose("up", "--detach", "--wait", "--no-build", *arguments)

    def kubectl(self, *arguments: str) -> str:
        command = [self._kubectl, f"--kubeconfig={self.kubeconfig}", *arguments]
        return run(command, {**self.engine.environ, "KUBERC": "off"}, cwd=self.folder)

    def objects(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "-o", "json"))["items"]
        return found

    def containers(self) -> dict[str, str]:
        """The id of each container that runs, by its name."""
        mine = f"--filter=label=com.docker.compose.project={PROJECT}"
        lines = self.engine.docker("ps", mine, "--format={{.Names}} {{.ID}}").splitlines()
        return dict(line.split() for line in lines)
