"""`kubectl logs` through the API server, with every option that it has."""

import re
import ssl
import subprocess
from datetime import datetime

import httpx
import pytest
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("wasmlet_up")
TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(?:Z|[+-]\d\d:\d\d)) (.*)")


@pytest.fixture
def ended(pods: Pods, images: Images) -> str:
    """A pod with a hundred lines, 20 ms between them."""
    pods.run("ended", images.push(guests.counts(20, up_to=100), "hundred"))
    pods.await_phase("ended", "Succeeded")
    return "ended"


def test_tail_lines(pods: Pods, ended: str) -> None:
    assert pods.logs(ended) == guests.numbered(1, 100)
    assert pods.logs(ended, "--tail=3") == guests.numbered(98, 100)
    assert pods.logs(ended, "--tail=0") == ""
    assert pods.logs(ended, "--tail=1000") == guests.numbered(1, 100)


def test_limit_bytes_cuts_inside_a_line(pods: Pods, ended: str) -> None:
    assert pods.logs(ended, "--limit-bytes=20") == guests.numbered(1, 2)[:20]
    assert pods.logs(ended, "--tail=2", "--limit-bytes=20") == guests.numbered(99, 100)[:20]


def test_timestamps_and_since_time(pods: Pods, ended: str) -> None:
    stamped = [TIMESTAMP.fullmatch(line) for line in pods.logs(ended, "--timestamps").splitlines()]
    matches = [each for each in stamped if each]
    assert len(matches) == 100
    moments = [datetime.fromisoformat(each[1]) for each in matches]
    assert moments == sorted(moments)
    # A line of exactly that moment belongs to it; kubectl sends whole seconds.
    second = moments[60].replace(microsecond=0)
    wanted = [each[2] for each, moment in zip(matches, moments, strict=True) if moment >= second]
    shown = pods.logs(ended, f"--since-time={second.isoformat()}").splitlines()
    assert shown == wanted


def test_since_seconds(pods: Pods, ended: str) -> None:
    assert pods.logs(ended, "--since=1h") == guests.numbered(1, 100)
    eventually(lambda: pods.logs(ended, "--since=1s") == "")


def test_follow_shows_lines_as_they_come_and_ends_with_the_container(
    pods: Pods, images: Images, control_plane: ControlPlane
) -> None:
    pods.run("follow", images.push(guests.counts(20, up_to=150), "follow"))
    pods.await_phase("follow", "Running")
    command = control_plane.kubectl.command(
        "logs", "--follow", "--tail=1", f"--namespace={pods.namespace}", "follow"
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as kubectl:
        assert kubectl.stdout is not None
        first = kubectl.stdout.readline()
        assert pods.container("follow")["state"].get("running"), "a line came before the end"
        rest = kubectl.stdout.read()
        assert kubectl.wait(10) == 0
    number = int(first.split()[1])
    assert first + rest == guests.numbered(number, 150)
    pods.await_phase("follow", "Succeeded")


def test_following_a_container_that_has_ended_ends(pods: Pods, ended: str) -> None:
    assert pods.logs(ended, "--follow") == guests.numbered(1, 100)


def test_previous_of_a_container_that_never_restarted(
    pods: Pods, ended: str, control_plane: ControlPlane
) -> None:
    namespace = f"--namespace={pods.namespace}"
    asked = control_plane.kubectl("logs", namespace, ended, "--previous", check=False)
    wanted = f'previous terminated container "main" in pod "{ended}" not found'
    assert wanted in asked.stderr


def test_a_container_that_waits_says_for_what(
    pods: Pods, images: Images, control_plane: ControlPlane
) -> None:
    pods.run("waits", f"{images.registry.host}/not-there:v1")
    pods.await_waiting("waits", "ImagePullBackOff")
    asked = control_plane.kubectl("logs", f"--namespace={pods.namespace}", "waits", check=False)
    wanted = 'container "main" in pod "waits" is waiting to start: trying and failing to pull image'
    assert wanted in asked.stderr


def test_a_long_line_without_end_comes_whole(pods: Pods, images: Images) -> None:
    text = "x" * 40_000  # longer than what a CRI log file holds in one entry
    pods.run("long", images.push(guests.prints(text), "long-line"))
    pods.await_phase("long", "Succeeded")
    is_whole = pods.logs("long").rstrip("\n") == text
    assert is_whole


def test_nobody_reads_logs_from_the_node_itself_without_being_allowed(
    pods: Pods, ended: str, control_plane: ControlPlane, api: Api, wasmlet_up: RunningWasmlet
) -> None:
    node = api.get(f"/api/v1/nodes/{pods.get(ended)['spec']['nodeName']}")
    assert node["metadata"]["name"] in wasmlet_up.nodes
    host = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    url = f"https://{host}:{port}/containerLogs/{pods.namespace}/{ended}/main"
    insecure = ssl.create_default_context()
    insecure.check_hostname = False
    insecure.verify_mode = ssl.CERT_NONE  # self-signed, as many kubelets' are
    with httpx.Client(verify=insecure, trust_env=False) as client:
        assert client.get(url).status_code == 401
        for service, code in (("log-server", 403), ("node-registrar", 403)):
            token = control_plane.kubectl(
                "create", "token", "--namespace=wasmlet-system", service
            ).stdout.strip()
            answer = client.get(url, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == code
        assert client.get(url.replace("containerLogs", "nowhere")).status_code == 401
