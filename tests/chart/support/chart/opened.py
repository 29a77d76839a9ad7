"""What a client sees of the kubelet port: the certificate that it shows, and a stream held open."""

import hashlib
import re
import ssl
import subprocess
from pathlib import Path
from typing import Self

from e2e.api import Api
from e2e.expectations import eventually

from chart.machine import NODE
from controlplane.kubectl import Kubectl


def kubelet_port(api: Api) -> tuple[str, int]:
    """Where the Node says that it is reached."""
    status = api.get(f"/api/v1/nodes/{NODE}")["status"]
    (address,) = (e["address"] for e in status["addresses"] if e["type"] == "InternalIP")
    return address, status["daemonEndpoints"]["kubeletEndpoint"]["Port"]


def shown(api: Api) -> str:
    """The fingerprint of what the port shows, whoever signed it."""
    return fingerprint(ssl.get_server_certificate(kubelet_port(api)))


def fingerprint(pem: str) -> str:
    """SHA-256 of a certificate's DER form, in hexadecimal."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


class Followed:
    """`kubectl logs -f` of a guest that counts, from `with` on."""

    def __init__(self, kubectl: Kubectl, out: Path, *, namespace: str, pod: str) -> None:
        self._kubectl = kubectl
        self._command = kubectl.command("logs", "-f", f"--namespace={namespace}", pod)
        self._out = out

    def __enter__(self) -> Self:
        with self._out.open("wb") as out:
            self._process = subprocess.Popen(
                self._command,
                env=self._kubectl.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def numbers(self) -> list[int]:
        """Those of all lines that have come whole."""
        return [int(n) for n in re.findall(r"\d+", self._out.read_text().rpartition("\n")[0])]

    def goes_on(self) -> bool:
        """Whether the same stream still brings lines, and none was lost; waits for ten more."""
        seen = len(self.numbers())
        eventually(lambda: len(self.numbers()) > seen + 10)
        counted = self.numbers()
        whole = counted == list(range(counted[0], counted[0] + len(counted)))
        return whole and self._process.poll() is None
