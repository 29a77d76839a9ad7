"""A machine of the cluster with the real kubelet and containerd, in namespaces of its own."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Self

from e2e.api import Api

from controlplane import ControlPlane
from controlplane.processes import Component
from realnode import cgroups, configuration
from realnode.forwarding import Forwarding
from realnode.names import Names
from realnode.namespaces import Namespaces
from realnode.programs import build_containerd, build_kubelet

HOST: Final = "real-1"
NODE: Final = f"wasm-{HOST}"
SERVICE: Final = "10.96.0.1"  # of the API server, as the cluster has it
DNS: Final = "10.96.0.10"
TASKS: Final = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"
READY_WITHIN_S: Final = 120.0


class RealNode:
    """Use as a context manager: afterwards nothing of it is left on this machine."""

    def __init__(
        self, plane: ControlPlane, folder: Path, images: Path, *, ports: Iterable[int] = ()
    ) -> None:
        self._plane = plane
        self.folder = folder
        self._images = images
        self._loopback_ports = tuple(ports)
        self.containers: list[str] = []
        self._left = contextlib.ExitStack()
        self.inside = Namespaces(folder)

    @property
    def address(self) -> str:
        return self.inside.range.node

    def seen(self, name: str) -> str:
        """What is 127.0.0.1:PORT here, as pods there call it."""
        return name.replace("127.0.0.1:", f"{self.address}:")

    def leftovers(self) -> list[str]:
        """What there still is of it, once it has ended: processes, mounts, interfaces, routes."""
        of_processes = [
            f"process {path.parent.name}"
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if os.fsencode(self.folder) in _bytes(path)
        ]
        mounts = [line for line in _lines("/proc/self/mounts") if str(self.folder) in line]
        links = [line for line in _lines("/proc/net/dev") if self.inside.link in line]
        groups = [str(each) for each in cgroups.of(self.containers)]
        return [*of_processes, *mounts, *links, *groups]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as left:
            left.callback(lambda: cgroups.remove(self.containers))
            left.enter_context(self.inside)
            left.callback(self._remember_containers)
            self._offer_addresses()
            left.enter_context(Forwarding(self.inside, self._ways()))
            left.enter_context(Names(self._plane, self.inside, DNS))
            containerd = self._containerd()
            left.callback(containerd.kill)
            containerd.start()
            containerd.wait_ready()
            self._import_images()
            with Api(self._plane) as api:
                kubelet = self._kubelet(api)
                left.callback(kubelet.kill)
                kubelet.start()
                kubelet.wait_ready(READY_WITHIN_S)
            self._left = left.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.close()
        shutil.rmtree(self.folder / "var" / "lib")  # images and layers, a gigabyte

    def _remember_containers(self) -> None:
        """Those that run, and their pods' sandboxes."""
        tasks = self.inside.run("sh", "-c", f"mkdir -p {TASKS} && ls {TASKS}")
        self.containers = tasks.split()

    def _ways(self) -> dict[tuple[str, int], int]:
        api = int(self._plane.server.rpartition(":")[2])
        ways = {("127.0.0.1", api): api, (SERVICE, 443): api}
        return ways | {(self.address, port): port for port in self._loopback_ports}

    def _offer_addresses(self) -> None:
        for address in (SERVICE, DNS):
            self.inside.run("ip", "address", "add", f"{address}/32", "dev", "lo")

    def _containerd(self) -> Component:
        program = build_containerd().path("containerd")
        config, network = self.folder / "containerd.toml", self.folder / "cni"
        network.mkdir()
        (network / "10-pods.conflist").write_text(configuration.network(self.inside.range.pods))
        config.write_text(configuration.containerd(network))
        command = self._ending_with_us(program, f"--config={config}")
        log = self.folder / "containerd.log"
        return Component("containerd", command, log, lambda: _ended(self._ctr("version")) == "")

    def _ctr(self, *words: str) -> list[str]:
        socket = f"--address={configuration.CONTAINERD_SOCKET}"
        return self.inside.command(build_containerd().path("ctr"), socket, *words)

    def _import_images(self) -> None:
        words = ("--namespace=k8s.io", "images", "import", "--local", str(self._images))
        complaint = _ended(self._ctr(*words))
        assert not complaint, complaint

    def _kubelet(self, api: Api) -> Component:
        config = self.folder / "kubelet.yaml"
        config.write_text(configuration.kubelet(client_authority=self._plane.authority, dns=DNS))
        kubeconfig = self._plane.user_kubeconfig(f"system:node:{HOST}", "system:nodes")
        command = self._ending_with_us(
            build_kubelet().path("kubelet"),
            f"--config={config}",
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={HOST}",
            f"--node-ip={self.address}",
        )
        log = self.folder / "kubelet.log"
        return Component("kubelet", command, log, lambda: is_ready(api, HOST))

    def _ending_with_us(self, program: str, *flags: str) -> list[str]:
        """A command inside that dies with the one out here that entered."""
        path = f"PATH={Path(program).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        return self.inside.command("setpriv", "--pdeathsig=KILL", "env", path, program, *flags)


def is_ready(api: Api, name: str) -> bool:
    node: dict[str, Any] = api.find(f"/api/v1/nodes/{name}") or {"status": {}}
    conditions = node["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _ended(command: list[str]) -> str:
    """What it complains of; nothing where it has succeeded."""
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if answer.returncode == 0 else answer.stderr or f"ended with {answer.returncode}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
