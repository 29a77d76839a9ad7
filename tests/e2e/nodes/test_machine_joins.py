"""A machine with nothing but the word of its enrolment becomes a node, by the real signer."""

import asyncio
import base64
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from e2e import guests
from e2e.api import Api
from e2e.callout import NAMESPACE, Gatehouse
from e2e.expectations import eventually
from e2e.images import Images
from e2e.kubelet_port import signed_certificate
from e2e.machine import Machine, wasmlet
from e2e.pods import Pods, pod
from registrar_peers import host_address
from registrar_process import Registrar

from contract.permissions import user_name
from contract.subjects import Role
from controlplane import Component, ControlPlane, Registry
from kubekit.client import connected
from kubekit.kubeconfig import Connection
from kubekit.signingrequests import KUBELET_SERVING, SigningError
from kubekit.signingrequests import PATH as REQUESTS
from wasmlet.node.enrolment import read_word
from wasmlet.node.joining import _identity, renew

NODE = "joined.example"
PATH = f"/api/v1/nodes/{NODE}"
SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/wasmlet-enrolments"
KUBECONFIG = "etc/wasmlet/log-server/kubeconfig"
IDENTITY = "etc/wasmlet/log-server/node.pem"
LIFETIME_S = 6
OF_NODE = "system:node:"


@pytest.fixture(scope="module")
def gate(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gatehouse]:
    gate = Gatehouse(control_plane, tmp_path_factory.mktemp("join"))
    with gate.nats:
        yield gate


@pytest.fixture(scope="module")
def registrar(gate: Gatehouse) -> Iterator[Registrar]:
    with gate.registrar(approve_certificates="true") as registrar:
        yield registrar


@pytest.fixture(scope="module")
def word(gate: Gatehouse, api: Api) -> Iterator[str]:
    """What `wasmlet node enrol` prints; the registrar sees the Secret as a mounted one."""
    kubeconfig = str(gate.plane.admin_kubeconfig)
    yield wasmlet("node", "enrol", NODE, "--kubeconfig", kubeconfig, "--nats", gate.nats.url)
    api.delete(SECRET)


@pytest.fixture(scope="module")
def machine(
    gate: Gatehouse,
    registrar: Registrar,
    word: str,
    api: Api,
    tmp_path_factory: pytest.TempPathFactory,
    registry: Registry,
) -> Iterator[Machine]:
    for user, digest in api.get(SECRET)["data"].items():
        (gate.enrolments / user).write_bytes(base64.b64decode(digest))
    with ExitStack() as stack:
        stack.callback(api.delete, PATH)
        stack.enter_context(reconciler(gate))
        machine = stack.enter_context(Machine(tmp_path_factory.mktemp("machine")))
        machine.join(word, "--address", host_address(), "--kubelet-port", "0")
        machine.set("executor", INSECURE_REGISTRIES=registry.host)
        machine.set("log-server", CERTIFICATE_LIFETIME_S=str(LIFETIME_S))
        machine.start("wasmlet-executor")
        machine.start("wasmlet-log-server")
        eventually(lambda: is_ready(api), within_s=60)
        yield machine
    assert "Traceback" not in registrar.output()


def reconciler(gate: Gatehouse) -> ExitStack:
    kubeconfig = gate.plane.service_account_kubeconfig(NAMESPACE, "pod-reconciler")
    password = gate.nats.password_file(Role.POD_RECONCILER)
    settings = [
        f"WASMLET_NATS_URL={gate.nats.url}",
        f"WASMLET_NATS_PASSWORD_FILE={password}",
        f"WASMLET_KUBECONFIG={kubeconfig}",
    ]
    command = ["/usr/bin/env", *settings, sys.executable, "-m", "pod_reconciler"]
    component = Component("reconciler", command, gate.folder / "reconciler.log", lambda: True)
    component.start()
    stack = ExitStack()
    stack.callback(component.stop)
    return stack


def is_ready(api: Api) -> bool:
    node = api.find(PATH)
    conditions = [] if node is None else node["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def test_a_machine_with_nothing_but_its_word_joins_with_files_of_its_own(
    machine: Machine, word: str, gate: Gatehouse, api: Api
) -> None:
    enrolment = read_word(word)
    for path in machine.root.glob("etc/wasmlet/*/*"):
        assert path.stat().st_mode & 0o077 == 0, path
        assert enrolment.bus_secret not in path.read_text()
        assert enrolment.token not in path.read_text()
    kept = api.get(SECRET)["data"]
    assert set(kept) == {
        user_name(role, enrolment.node) for role in (Role.WASM_EXECUTOR, Role.LOG_SERVER)
    }
    own = machine.file("etc/wasmlet/executor/token").read_text()
    assert own not in str(kept)
    assert own != machine.file("etc/wasmlet/log-server/token").read_text()
    config = ("--kubeconfig", str(machine.file(KUBECONFIG)))
    kubectl = gate.plane.kubectl
    assert f"system:node:{NODE}" in kubectl(*config, "auth", "whoami").stdout
    assert kubectl(*config, "get", "secrets", "-A", check=False).returncode != 0
    assert api.get(PATH)["metadata"]["name"] == NODE


@pytest.mark.usefixtures("machine")
def test_a_certificate_that_the_cluster_signed_rotates_under_a_followed_log(
    gate: Gatehouse, api: Api, pods: Pods, images: Images, tmp_path: Path
) -> None:
    manifest = pod("counts", images.push(guests.counts(100), "counts-on-a-joined-machine"))
    manifest["spec"]["nodeSelector"] = {"kubernetes.io/hostname": NODE}
    pods.create(manifest)
    pods.await_phase("counts", "Running")
    out = tmp_path / "followed"
    kubectl = gate.plane.kubectl
    with out.open("wb") as file:
        following = subprocess.Popen(
            kubectl.command("logs", "-f", f"--namespace={pods.namespace}", "counts"),
            env=kubectl.environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: len(numbers(out)) > 3)
        first = eventually(lambda: signed_certificate(gate.plane, api, NODE))
        eventually(
            lambda: signed_certificate(gate.plane, api, NODE) not in (first, None), within_s=50
        )
        seen = len(numbers(out))
        eventually(lambda: len(numbers(out)) > seen + 10)
        assert following.poll() is None
        counted = numbers(out)
        assert counted == list(range(counted[0], counted[0] + len(counted)))
    finally:
        following.kill()
        following.wait()
    assert pods.logs("counts", "--tail=1")


def numbers(out: Path) -> list[int]:
    text = out.read_text().rpartition("\n")[0]
    return [int(n) for n in re.findall(r"\d+", text)]


@pytest.mark.usefixtures("machine")
def test_the_cluster_signed_for_this_node_and_its_address_and_nothing_else(
    gate: Gatehouse, api: Api
) -> None:
    eventually(lambda: signed_certificate(gate.plane, api, NODE))
    requests = [
        each
        for each in api.get(REQUESTS)["items"]
        if each["spec"]["username"] == f"{OF_NODE}{NODE}"
    ]
    serving = [each for each in requests if each["spec"]["signerName"] == KUBELET_SERVING]
    signed = [each for each in serving if each["status"].get("certificate")]
    assert signed
    for each in signed:
        assert "system:nodes" in each["spec"]["groups"]
        assert each["spec"]["usages"] == ["digital signature", "server auth"]
        pem = base64.b64decode(each["status"]["certificate"])
        certificate = x509.load_pem_x509_certificate(pem)
        assert certificate.subject.rfc4514_string() == f"CN={OF_NODE}{NODE},O=system:nodes"
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [NODE]
        assert names.get_values_for_type(x509.IPAddress) == [ip_address(host_address())]
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(uses) == [ExtendedKeyUsageOID.SERVER_AUTH]


@pytest.mark.usefixtures("machine")
async def test_a_bootstrap_token_makes_no_other_node(word: str, registrar: Registrar) -> None:
    enrolment = read_word(word)
    connection = Connection(
        server=enrolment.server, authority=enrolment.authority.encode(), token=enrolment.token
    )
    async with connected(connection, user_agent="thief") as thief:
        for other in ("other.example", "control-plane"):
            with pytest.raises(SigningError, match="nobody has approved it"):
                await _identity(thief, other, within_s=6)

    def refused(what: str) -> set[str]:
        return {each[what] for each in registrar.records("certificate.unapproved")}

    await asyncio.to_thread(
        eventually, lambda: refused("node") == {"other.example", "control-plane"}
    )
    assert refused("reason") == {"it was asked by somebody else"}


async def test_a_machine_renews_its_identity_and_goes_on(machine: Machine, api: Api) -> None:
    identity = machine.file(IDENTITY)
    before = identity.read_bytes()
    root = f"{machine.root}/"
    assert await renew(root) == 0
    assert identity.read_bytes() == before, "it is not time yet"
    assert await renew(root, at=0.0) == 0
    assert identity.read_bytes() != before
    assert identity.stat().st_mode & 0o777 == 0o600
    assert await asyncio.to_thread(eventually, lambda: is_ready(api))
