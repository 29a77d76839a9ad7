"""Pods and what their guests must find, read from YAML that people can hold against the kubelet."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from e2e.pods import RUNTIME_CLASS
from e2e.world_guest import Told

TOKEN: Final = "<token>"
MODULE: Final = "<module>"
MESSAGE: Final = "/dev/termination-log"
MANAGED_HOSTS: Final = (
    "# Kubernetes-managed hosts file.\n"
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n"
)
NODE_HOSTS: Final = "# Kubernetes-managed hosts file (host network).\n"
RESOLVER: Final = (
    "search <namespace>.svc.c.test svc.c.test c.test node.test\n"
    "nameserver 10.96.0.10\n"
    "options ndots:5\n"
)
SERVICES: Final = {
    "KUBERNETES": ("<kubernetes>", (("HTTPS", "443", "tcp"),)),
    "WEB_API": ("<web>", (("HTTP", "80", "tcp"), ("MORE_OF_IT", "9090", "udp"))),
}


class World(NamedTuple):
    """One pod, and what its rule says of it."""

    name: str
    given: dict[str, Any]

    def manifest(self, image: str, node: str) -> dict[str, Any]:
        container = {"name": "main", "image": image, **self.given.get("container", {})}
        return {
            "metadata": {"name": self.name, **self.given.get("metadata", {})},
            "spec": {
                "runtimeClassName": RUNTIME_CLASS,
                "restartPolicy": "Never",
                "nodeSelector": {"kubernetes.io/hostname": node},
                "automountServiceAccountToken": False,
                "containers": [container],
                **self.given.get("spec", {}),
            },
        }

    @property
    def environment(self) -> dict[str, str]:
        links = self.given.get("spec", {}).get("enableServiceLinks", True)
        services = SERVICES if links else {"KUBERNETES": SERVICES["KUBERNETES"]}
        variables = {"HOSTNAME": self.name}
        for name, (address, ports) in services.items():
            variables |= _service(name, address, ports)
        return {**variables, **self.given["env"]}

    @property
    def files(self) -> dict[str, str | bytes]:
        etc = self.given.get("etc", {})
        return {
            self.given.get("message", MESSAGE): "",
            **({} if etc == "none" else self._etc(etc)),
            **self.given.get("files", {}),
        }

    def _etc(self, etc: Mapping[str, str]) -> dict[str, str | bytes]:
        hosts = MANAGED_HOSTS + etc.get("hosts", f"<ip>\t{self.name}\n")
        if "node_hosts" in etc:
            hosts = NODE_HOSTS + Path("/etc/hosts").read_text() + etc["node_hosts"]
        return {
            "/etc/hosts": hosts,
            "/etc/hostname": etc.get("hostname", f"{self.name}\n"),
            "/etc/resolv.conf": etc.get("resolver", RESOLVER),
        }


def worlds(folder: Path) -> list[World]:
    """Read all pods of a folder."""
    pages = sorted(each for each in folder.glob("*.yaml") if each.stem != "objects")
    given = [each for page in pages for each in yaml.safe_load_all(page.read_text()) if each]
    return [World(each["name"], each) for each in given]


def filled(given: Any, known: Mapping[str, str]) -> Any:
    """Put what only the cluster knows in the place of its `<name>`, however deep."""
    match given:
        case str():
            for name, value in known.items():
                given = given.replace(f"<{name}>", value)
            return given
        case dict():
            return {key: filled(value, known) for key, value in given.items()}
        case list():
            return [filled(value, known) for value in given]
    return given


def _service(name: str, address: str, ports: tuple[tuple[str, str, str], ...]) -> dict[str, str]:
    """By envvars.FromServices: the first port has no name, each has its link."""
    first, (_, number, protocol) = ports, ports[0]
    variables = {
        f"{name}_SERVICE_HOST": address,
        f"{name}_SERVICE_PORT": first[0][1],
        f"{name}_PORT": f"{protocol}://{address}:{number}",
    }
    for port_name, port, kind in ports:
        link = f"{name}_PORT_{port}_{kind.upper()}"
        variables |= {
            f"{name}_SERVICE_PORT_{port_name}": port,
            link: f"{kind}://{address}:{port}",
            f"{link}_PROTO": kind,
            f"{link}_PORT": port,
            f"{link}_ADDR": address,
        }
    return variables


def differences(world: World, known: Mapping[str, str], found: Told) -> list[str]:
    """Say what a guest found that it should not have, and the other way round."""
    wanted = {f"${name}": value for name, value in filled(world.environment, known).items()}
    wanted |= filled(world.files, known)
    seen = {f"${name}": value for name, value in found.environment.items()} | found.files
    apart = [f"{path}: cannot be read" for path in found.unreadable]
    for name in sorted(wanted.keys() | seen.keys()):
        expected, actual = wanted.get(name), seen.get(name)
        if expected == TOKEN and actual is not None:
            expected = actual if _is_token_of(actual, known["uid"]) else expected
        if expected == MODULE and isinstance(actual, bytes) and actual.startswith(b"\0asm"):
            expected = actual
        if isinstance(expected, str):
            expected = expected.encode()
        if expected != actual:
            apart.append(f"{name}: {actual!r} should be {expected!r}")
    return apart


def _is_token_of(token: bytes, pod_uid: str) -> bool:
    _, claims, _ = token.split(b".")
    told = json.loads(base64.urlsafe_b64decode(claims + b"=="))
    return bool(told["kubernetes.io"]["pod"]["uid"] == pod_uid)
