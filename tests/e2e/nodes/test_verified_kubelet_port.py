"""An API server that verifies kubelets: what it believes of a certificate that lies in files."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet
from log_server_pki import Authority

from contract.ids import NodeName
from controlplane import ControlPlane, Registry, Tuning
from log_server.addresses import announced_address
from log_server.certificates import requested

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
NODE = NodeName("verified")
ELSEWHERE = "192.0.2.7"


class Files:
    """What the log-server is given, by an authority of the user's own."""

    def __init__(self, folder: Path) -> None:
        self._authority = Authority(folder, "users-ca")
        self.bundle = folder / "ca.crt"
        self.bundle.write_text(self._authority.pem)
        self.certificate = folder / "tls.crt"
        self.key = folder / "tls.key"

    def name(self, address: str) -> None:
        """Put a pair there that is for this address."""
        mine = requested(NODE, address)
        self.certificate.write_bytes(self._authority.sign(mine.request))
        self.key.write_bytes(mine.key)

    def options(self) -> list[str]:
        settings = {
            "CERTIFICATE_MODE": "files",
            "TLS_CERT_FILE": self.certificate,
            "TLS_PRIVATE_KEY_FILE": self.key,
            "TLS_FILES_INTERVAL_S": 0.2,
        }
        pairs = [f"log-server:{name}={value}" for name, value in settings.items()]
        return [word for pair in pairs for word in ("--set", pair)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[ControlPlane]:
    flag = f"--kubelet-certificate-authority={files.bundle}"
    tuning = Tuning(extra_args={"kube-apiserver": (flag,)})
    with ControlPlane(tmp_path_factory.mktemp("verifying plane"), tuning=tuning) as plane:
        plane.deploy()
        yield plane


def test_an_api_server_believes_the_files_that_name_the_nodes_address_and_no_others(
    plane: ControlPlane, files: Files, registry: Registry, images: Images, tmp_path: Path
) -> None:
    address = announced_address("", static=False)
    files.name(ELSEWHERE)
    options = [*files.options(), "--insecure-registry", registry.host]
    wasmlet = RunningWasmlet(plane, tmp_path / "up", node_name=NODE, options=options)
    with Api(plane) as api:
        pods = Pods(plane, api, "default")
        wasmlet.start()
        try:
            pods.create(pod("says", images.push(guests.prints("believed"), "verified-says")))
            pods.await_phase("says", "Succeeded")
            refused = f"certificate is valid for {ELSEWHERE}, not {address}"
            assert refused in told(plane), told(plane)
            files.name(address)
            eventually(lambda: "believed" in told(plane))
        finally:
            pods.remove_all()
            wasmlet.stop()


def told(plane: ControlPlane) -> str:
    """What a user is told who wants the log."""
    answer = plane.kubectl("logs", "says", "--namespace=default", check=False)
    return answer.stdout + answer.stderr
