"""The services as processes that a test starts and ends one by one, around a bus of its own."""

import json
import re
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from contract.ids import NodeName
from contract.subjects import Role
from controlplane import Component, ControlPlane
from e2e.expectations import eventually
from embedded_nats import EmbeddedNats

NAMESPACE = "wasmlet-system"
ENDS_WITHIN_S = 40.0
"""An executor gives its containers their grace."""


class Service:
    """One process. Ended, it can be started again with all that it left on its disk."""

    def __init__(self, role: Role, log: Path, settings: dict[str, str]) -> None:
        given = {"LOG_FORMAT": "json", "LOG_LEVEL": "info", **settings}
        pairs = [f"WASMLET_{name}={value}" for name, value in given.items()]
        module = role.value.replace("-", "_")
        command = ["/usr/bin/env", *pairs, sys.executable, "-m", module]
        self._component = Component(role.value, command, log, lambda: True)

    def start(self) -> Self:
        self._component.start()
        return self

    def stop(self) -> None:
        """SIGTERM, and time enough to end as it wants to."""
        self._component.stop(ENDS_WITHIN_S)

    def kill(self) -> None:
        """As a machine that is gone."""
        self._component.kill()

    def records(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of one event."""
        text = self._component.log_path.read_text(errors="replace").rpartition("\n")[0]
        lines = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == event]

    def metric(self, name: str) -> float:
        """What it shows of a metric without labels; an assertion fails while it shows none."""
        listening = self.records("admin.listening")
        assert listening, self._component.log_tail()
        url = f"http://127.0.0.1:{listening[-1]['port']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
        assert found, name
        return float(found.group(1))


class Services:
    """A bus, and the settings by which services find it and the cluster."""

    def __init__(self, plane: ControlPlane, folder: Path, nodes: Sequence[NodeName]) -> None:
        self._plane = plane
        self._folder = folder
        self._memory = Path(tempfile.mkdtemp(prefix="wasmlet-services-", dir="/dev/shm"))
        self._nats = EmbeddedNats(folder / "nats", nodes)
        self._started: list[Service] = []

    def __enter__(self) -> Self:
        self._nats.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for each in reversed(self._started):
            each.stop()
        self._nats.__exit__(*error)
        shutil.rmtree(self._memory)

    def start(self, role: Role, settings: dict[str, str], node: NodeName | None = None) -> Service:
        """Starts a service; an executor's is of a node. `settings` are names without WASMLET_."""
        own = {
            "NATS_URL": self._nats.url,
            "NATS_PASSWORD_FILE": str(self._nats.password_file(role, node)),
        }
        if node is None:
            account = self._plane.service_account_kubeconfig(NAMESPACE, role.value)
            own["KUBECONFIG"] = str(account)
        else:
            own |= self._of_node(node)
        log = self._folder / f"{role.value}{node or ''}.log"
        service = Service(role, log, own | settings).start()
        self._started.append(service)
        eventually(lambda: service.records("admin.listening"))
        return service

    def _of_node(self, node: NodeName) -> dict[str, str]:
        on_disk = self._folder / node
        return {
            "NODE_NAME": node,
            "DATA_DIR": str(on_disk / "data"),
            "LOG_ROOT": str(on_disk / "logs"),
            "RUN_DIR": str(self._memory / node),
        }
