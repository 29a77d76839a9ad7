"""`wasmlet up` as a user starts it: a process of its own against the test's cluster."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from controlplane import Component, ControlPlane
from e2e.api import Api

# An executor gives its containers their grace before it ends.
STOP_WITHIN_S = 45.0
READY_WITHIN_S = 60.0


class RunningWasmlet:
    """One `wasmlet up`, its nodes and its output; `environment` is inherited by all it starts."""

    _running: ClassVar[list["RunningWasmlet"]] = []

    def __init__(
        self,
        plane: ControlPlane,
        folder: Path,
        *,
        node_name: str,
        nodes: int = 1,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        self.nodes = _node_names(node_name, nodes)
        self.data_dir = folder / "data"
        pairs = [f"{name}={value}" for name, value in (environment or {}).items()]
        command = ["/usr/bin/env", *pairs] if pairs else []
        command += [sys.executable, "-m", "wasmlet", "up"]
        command += ["--kubeconfig", str(plane.admin_kubeconfig), "--kubelet-port", "0"]
        command += ["--data-dir", str(self.data_dir)]
        command += ["--node-name", node_name, "--nodes", str(nodes), *options]
        self.process = Component("wasmlet", command, folder / "up.log", self._is_ready)

    @classmethod
    def all_running(cls) -> list["RunningWasmlet"]:
        """Those that were started and have not ended, in this test run."""
        cls._running = [each for each in cls._running if each.process.is_running]
        return cls._running

    def start(self) -> None:
        """Returns when all Nodes are Ready."""
        self.process.start()
        self._running.append(self)
        try:
            self.process.wait_ready(READY_WITHIN_S)
        except BaseException:
            self.process.kill()
            raise

    def stop(self) -> None:
        """As Ctrl-C does."""
        self.process.stop(STOP_WITHIN_S)

    def leave(self, api: Api) -> None:
        """Stop, and take the Nodes away: where others spread their pods, they would count."""
        self.stop()
        for node in self.nodes:
            api.delete(f"/api/v1/nodes/{node}")

    def output(self) -> str:
        return self.process.log_path.read_text(errors="replace")

    def _is_ready(self) -> bool:
        lines = re.findall(r"^node (\S+) is Ready$", self.output(), re.MULTILINE)
        return set(lines) >= set(self.nodes)


@contextmanager
def joined(
    plane: ControlPlane,
    api: Api,
    folder: Path,
    *,
    node_name: str,
    registries: Sequence[str],
    settings: Mapping[str, object],
    nodes: int = 1,
    options: Sequence[str] = (),
) -> Iterator[RunningWasmlet]:
    """A Node of a test's own while the body runs; then it is gone from the cluster, too.

    `settings` are by `service:NAME`, as in `--set`; `registries` are spoken to without TLS.
    """
    given = [*options]
    for host in registries:
        given += ["--insecure-registry", host]
    for name, value in settings.items():
        given += ["--set", f"{name}={value}"]
    wasmlet = RunningWasmlet(plane, folder, node_name=node_name, nodes=nodes, options=given)
    wasmlet.start()
    yield wasmlet
    wasmlet.leave(api)


def _node_names(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]
