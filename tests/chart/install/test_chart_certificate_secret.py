"""An installation whose kubelet port shows what the user has put into a Secret."""

import base64
import hashlib
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from chart.helm import CHART, NAMESPACE, RELEASE, Helm, installing
from chart.machine import NODE, Machine, is_ready
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod

from contract.ids import NodeName
from controlplane import ControlPlane
from log_server.certificates import ServingCertificate, self_signed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.geteuid() != 0, reason="containers' namespaces need root"),
]
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
NAME = "kubelet-certificate"


class Pair:
    """What the Secret holds."""

    def __init__(self, api: Api, address: str) -> None:
        self._api = api
        self._address = address

    def renew(self) -> str:
        """Put another pair into it; its fingerprint."""
        made = self._made()
        self._put(made, made)
        return made.sha256

    def misplace(self) -> None:
        """Put a certificate into it with the key of another."""
        self._put(self._made(), self._made())

    def _made(self) -> ServingCertificate:
        return self_signed(NodeName(NODE), self._address, 86400.0, datetime.now(UTC))

    def _put(self, shown: ServingCertificate, hidden: ServingCertificate) -> None:
        mark = b"-----BEGIN CERTIFICATE-----"
        parts = {
            "tls.crt": mark + shown.pem.partition(mark)[2],
            "tls.key": hidden.pem.partition(mark)[0],
        }
        data = {name: base64.b64encode(each).decode() for name, each in parts.items()}
        if self._api.find(f"{SECRETS}/{NAME}") is None:
            body = {"metadata": {"name": NAME}, "type": "kubernetes.io/tls", "data": data}
            self._api.create(SECRETS, body)
        else:
            self._api.patch(f"{SECRETS}/{NAME}", {"data": data})


@pytest.fixture(scope="module")
def pair(api: Api, machine: Machine) -> Pair:
    return Pair(api, machine.address)


@pytest.fixture(scope="module")
def installed(helm: Helm, pair: Pair, own_values: Path) -> str:
    """The fingerprint of the first certificate."""
    first = pair.renew()
    mode = ("logServer.certificates=existingSecret", f"logServer.existingSecret={NAME}")
    more = [word for each in mode for word in ("--set", each)]
    helm("install", RELEASE, str(CHART), *installing(own_values, *more))
    return first


def shown(api: Api) -> str:
    """The fingerprint of what the kubelet port shows."""
    status = api.get(f"/api/v1/nodes/{NODE}")["status"]
    port = status["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    (address,) = (e["address"] for e in status["addresses"] if e["type"] == "InternalIP")
    pem = ssl.get_server_certificate((address, port))
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


@pytest.fixture
def followed(
    cluster: ControlPlane, api: Api, images: Images, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A log that is followed, and where its lines go."""
    api.create("/api/v1/namespaces", {"metadata": {"name": "users"}})
    eventually(lambda: api.find("/api/v1/namespaces/users/serviceaccounts/default"))
    pods = Pods(cluster, api, "users")
    manifest = pod("counts", images.push(guests.counts(100), "counts-beside-a-secret"))
    pods.create(manifest)
    pods.await_phase("counts", "Running")
    kubectl = cluster.kubectl
    out = tmp_path / "followed"
    with out.open("wb") as file:
        following = subprocess.Popen(
            kubectl.command("logs", "-f", "--namespace=users", "counts"),
            env=kubectl.environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    yield following, out
    following.kill()
    following.wait()
    pods.remove_all()


def numbers(out: Path) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", out.read_text().rpartition("\n")[0])]


def doctor(cluster: ControlPlane) -> str:
    config = ("--kubeconfig", str(cluster.admin_kubeconfig), "--namespace", NAMESPACE)
    command = [sys.executable, "-m", "wasmlet", "doctor", "--no-kernel", *config]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_a_secret_that_changes_is_taken_up_under_a_followed_log(
    installed: str, api: Api, pair: Pair, followed: tuple[subprocess.Popen[bytes], Path]
) -> None:
    following, out = followed
    assert shown(api) == installed
    eventually(lambda: len(numbers(out)) > 3)
    renewed = pair.renew()
    eventually(lambda: shown(api) == renewed, within_s=60)
    seen = len(numbers(out))
    eventually(lambda: len(numbers(out)) > seen + 10)
    assert following.poll() is None
    counted = numbers(out)
    assert counted == list(range(counted[0], counted[0] + len(counted)))
    assert is_ready(api)


def test_a_pair_that_does_not_fit_is_said_and_what_was_shown_stays(
    installed: str, api: Api, pair: Pair, cluster: ControlPlane
) -> None:
    assert installed
    before = pair.renew()
    eventually(lambda: shown(api) == before, within_s=60)
    pair.misplace()
    said = eventually(lambda: told(cluster, "is not that of"), within_s=60)
    assert "/etc/wasmlet/kubelet-tls/tls.key" in said
    assert told(cluster, "secret kubelet-certificate: its tls.key is not the key of its tls.crt")
    assert shown(api) == before
    mended = pair.renew()
    eventually(lambda: shown(api) == mended, within_s=60)
    eventually(lambda: not told(cluster, "not ready"), within_s=60)


def told(cluster: ControlPlane, words: str) -> str:
    """The line of doctor with these words, nothing where there is none."""
    return next((line for line in doctor(cluster).splitlines() if words in line), "")
