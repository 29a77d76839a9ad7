"""An installation whose kubelet port shows what the user has put into a Secret."""

import base64
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from chart.helm import CHART, NAMESPACE, RELEASE, Helm, installing
from chart.machine import NODE, Machine, is_ready
from chart.opened import Followed, shown
from e2e.api import Api
from e2e.expectations import eventually

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


def doctor(cluster: ControlPlane) -> str:
    config = ("--kubeconfig", str(cluster.admin_kubeconfig), "--namespace", NAMESPACE)
    command = [sys.executable, "-m", "wasmlet", "doctor", "--no-kernel", *config]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_a_secret_that_changes_is_taken_up_under_a_followed_log(
    installed: str, api: Api, pair: Pair, followed: Followed
) -> None:
    assert shown(api) == installed
    eventually(lambda: len(followed.numbers()) > 3)
    renewed = pair.renew()
    eventually(lambda: shown(api) == renewed, within_s=60)
    assert followed.goes_on()
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
