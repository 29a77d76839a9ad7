"""Namespaces for a node: whatever is started in them ends with them.

Processes, mounts, interfaces, routes and packet filters of a node live in namespaces of their own.
One pair of interfaces joins them with this machine, in a range of addresses that nobody here has.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import msgspec

from controlplane.processes import Component
from realnode.first_process import READY

# Beside the ranges of the compose project's networks.
_BLOCKS: Final = [f"172.31.{number}" for number in range(192, 224)]
_SUPPORT: Final = Path(__file__).parents[1]


class Range(msgspec.Struct, frozen=True):
    """Addresses of one node: the link's two ends, and those of its pods."""

    block: str

    @property
    def outside(self) -> str:
        return f"{self.block}.1"

    @property
    def node(self) -> str:
        return f"{self.block}.2"

    @property
    def pods(self) -> str:
        return f"{self.block}.128/25"


class Namespaces:
    """Use as a context manager; `folder` receives what the node writes to disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.range = Range(_free_block())
        self.link = f"wl{os.urandom(4).hex()}"
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        first = ["env", f"PYTHONPATH={_SUPPORT}", sys.executable, "-m", "realnode.first_process"]
        self._first = Component(
            "namespaces",
            [*command, *first, str(folder)],
            folder / "namespaces.log",
            (folder / READY).exists,
        )

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._first.start()
        try:
            self._first.wait_ready()
            self._join()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # By its name: the kernel takes a network namespace down only after its last connection.
        subprocess.run(["ip", "link", "delete", self.link], capture_output=True, check=False)
        self._first.kill()

    def command(self, *words: str) -> list[str]:
        """What runs these words inside."""
        place = f"/proc/{self._first.pid}/ns"
        entered = [f"--mount={place}/mnt", f"--net={place}/net", f"--pid={place}/pid_for_children"]
        return ["nsenter", *entered, *words]

    def run(self, *words: str) -> str:
        return _said(self.command(*words))

    def made_inside[T](self, make: Callable[[], T]) -> T:
        """What `make` gives in a thread that is in the network namespace: sockets stay there."""
        made: list[T] = []

        def enter() -> None:
            namespace = os.open(f"/proc/{self._first.pid}/ns/net", os.O_RDONLY)
            try:
                os.setns(namespace, os.CLONE_NEWNET)
            finally:
                os.close(namespace)
            made.append(make())

        thread = threading.Thread(target=enter, name="inside")
        thread.start()
        thread.join()
        return made[0]

    def _join(self) -> None:
        link, at = self.link, self.range
        inside = str(self._first.pid)
        _said(["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", inside])
        _said(["ip", "address", "add", f"{at.outside}/30", "dev", link])
        _said(["ip", "link", "set", link, "up"])
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "address", "add", f"{at.node}/30", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        self.run("ip", "route", "add", "default", "via", at.outside)
        _said(["ip", "route", "add", at.pods, "via", at.node])


def _free_block() -> str:
    taken = _said(["ip", "-oneline", "-4", "address"]) + _said(["ip", "-4", "route"])
    return next(block for block in _BLOCKS if f" {block}." not in taken)


def _said(command: list[str]) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, f"{' '.join(command)}: {answer.stdout}{answer.stderr}"
    return answer.stdout
