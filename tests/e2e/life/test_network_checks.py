"""Probes over the network: a guest that listens, its own port, and nobody else's."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from e2e import guests
from e2e.anatomy import Anatomy
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods
from e2e.processes import frozen
from e2e.running_wasmlet import RunningWasmlet

pytestmark = pytest.mark.usefixtures("wasmlet_up")
type Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def listener(images: Images) -> str:
    return images.push(guests.listens(), "listener")


@pytest.fixture
def port() -> int:
    with socket.socket() as probing:
        probing.bind(("", 0))
        number: int = probing.getsockname()[1]
        return number


def listening(image: str, port: int, **more: Any) -> dict[str, Any]:
    ports = [{"name": "web", "containerPort": port}]
    return {"name": "main", "image": image, "args": [str(port)], "ports": ports, **more}


def asks(pods: Pods, name: str, port: int, path: str) -> None:
    address = pods.get(name)["status"]["podIP"]
    with urllib.request.urlopen(f"http://{address}:{port}{path}") as answer:
        assert answer.status == 200


def test_a_pod_is_in_service_as_long_as_its_guest_says_so(
    pods: Pods, create: Make, listener: str, port: int
) -> None:
    probe = {"httpGet": {"port": "web", "path": "/"}, "periodSeconds": 1, "failureThreshold": 1}
    create("web", listening(listener, port, readinessProbe=probe))
    eventually(lambda: pods.conditions("web").get("Ready") == "True")
    with pytest.raises(urllib.error.HTTPError, match="500"):
        asks(pods, "web", port, "/break")
    eventually(lambda: pods.conditions("web")["Ready"] == "False")
    said = "Readiness probe failed: HTTP probe failed with statuscode: 500"
    eventually(lambda: ("Unhealthy", said) in pods.events("web"))
    asks(pods, "web", port, "/mend")
    eventually(lambda: pods.conditions("web")["Ready"] == "True")
    assert pods.container("web")["restartCount"] == 0


def test_a_grpc_probe_hears_of_a_guests_health(
    pods: Pods, create: Make, listener: str, port: int
) -> None:
    probe = {"grpc": {"port": port}, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 5}
    create("grpc", listening(listener, port, readinessProbe=probe))
    eventually(lambda: pods.conditions("grpc").get("Ready") == "True")
    with pytest.raises(urllib.error.HTTPError, match="500"):
        asks(pods, "grpc", port, "/break")
    eventually(lambda: pods.conditions("grpc")["Ready"] == "False")
    said = 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")'
    eventually(lambda: ("Unhealthy", said) in pods.events("grpc"))
    asks(pods, "grpc", port, "/mend")
    eventually(lambda: pods.conditions("grpc")["Ready"] == "True")


def test_a_guest_that_answers_no_more_is_restarted(
    pods: Pods, create: Make, listener: str, port: int
) -> None:
    probe = {"httpGet": {"port": port}, "periodSeconds": 1, "failureThreshold": 1}
    container = listening(listener, port, livenessProbe=probe)
    container["args"] = [str(port), "2"]
    create("web", container, restartPolicy="Always")
    eventually(lambda: pods.container("web").get("restartCount", 0) >= 1)
    said = "Container main failed liveness probe, will be restarted"
    eventually(lambda: ("Killing", said) in pods.events("web"))


def test_a_pod_is_in_service_again_after_as_many_successes_as_asked(
    pods: Pods, create: Make, listener: str, port: int
) -> None:
    times = {"periodSeconds": 1, "failureThreshold": 1, "successThreshold": 4}
    create("web", listening(listener, port, readinessProbe={"httpGet": {"port": port}} | times))
    eventually(lambda: pods.conditions("web").get("Ready") == "True")
    with pytest.raises(urllib.error.HTTPError, match="500"):
        asks(pods, "web", port, "/break")
    eventually(lambda: pods.conditions("web")["Ready"] == "False")
    mended = time.monotonic()
    asks(pods, "web", port, "/mend")
    eventually(lambda: pods.conditions("web")["Ready"] == "True")
    assert time.monotonic() - mended > 3 - 0.5, (
        "the fourth success is three periods after the first"
    )


def test_a_guest_that_accepts_and_does_not_answer_fails_when_the_time_is_out(
    wasmlet_up: RunningWasmlet, pods: Pods, create: Make, listener: str, port: int
) -> None:
    anatomy = Anatomy(wasmlet_up)
    others = anatomy.containers()
    probe = {"httpGet": {"port": port}, "periodSeconds": 1, "failureThreshold": 1}
    create("web", listening(listener, port, readinessProbe=probe | {"timeoutSeconds": 2}))
    eventually(lambda: pods.conditions("web").get("Ready") == "True")
    (guest,) = anatomy.await_more(others, 1)
    address = pods.get("web")["status"]["podIP"]
    late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    said = f'Readiness probe failed: Get "http://{address}:{port}/": {late}'
    with frozen(guest):
        eventually(lambda: pods.conditions("web")["Ready"] == "False")
        eventually(lambda: ("Unhealthy", said) in pods.events("web"))
    eventually(lambda: pods.conditions("web")["Ready"] == "True")
    assert pods.container("web")["restartCount"] == 0


def test_a_connection_is_enough_for_a_tcp_probe(
    pods: Pods, create: Make, listener: str, port: int
) -> None:
    create("web", listening(listener, port, readinessProbe={"tcpSocket": {"port": "web"}}))
    eventually(lambda: pods.conditions("web").get("Ready") == "True")


def test_a_port_of_somebody_else_makes_no_pod_ready(pods: Pods, create: Make, play: Make) -> None:
    """Pods share their node's network: whoever listens there must not speak for them."""
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        create("imposter", play("main", "sleep", readinessProbe={"tcpSocket": {"port": port}}))
        said = f"Readiness probe failed: port {port} is not held by a process of this pod"
        eventually(lambda: ("Unhealthy", said) in pods.events("imposter"))
    assert pods.conditions("imposter")["Ready"] == "False"


def test_nobody_listening_is_told_as_the_kubelet_tells_it(
    pods: Pods, create: Make, play: Make, port: int
) -> None:
    create("silent", play("main", "sleep", readinessProbe={"tcpSocket": {"port": port}}))
    eventually(lambda: pods.events("silent") and pods.get("silent")["status"].get("podIP"))
    address = pods.get("silent")["status"]["podIP"]
    said = f"Readiness probe failed: dial tcp {address}:{port}: connect: connection refused"
    eventually(lambda: ("Unhealthy", said) in pods.events("silent"))


def test_events_that_differ_in_their_message_alone_are_combined_from_the_tenth_on(
    pods: Pods, create: Make, play: Make
) -> None:
    probed = [
        play(f"c{port}", "sleep", readinessProbe={"tcpSocket": {"port": port}})
        for port in range(1, 13)
    ]
    create("many", *probed)

    def combined() -> bool:
        said = [message for reason, message in pods.events("many") if reason == "Unhealthy"]
        alone = [each for each in said if each.startswith("Readiness probe failed: ")]
        together = "(combined from similar events): Readiness probe failed: "
        others = [each.startswith(together) for each in said if each not in alone]
        return (len(alone), others) == (9, [True])

    eventually(combined)


def test_a_port_name_that_the_container_does_not_have_is_an_error_of_the_probe(
    pods: Pods, create: Make, play: Make
) -> None:
    create("unnamed", play("main", "sleep", readinessProbe={"tcpSocket": {"port": "web"}}))
    said = "Readiness probe errored and resulted in unknown state: no port of this name"
    eventually(lambda: ("Unhealthy", said) in pods.events("unnamed"))


def test_a_hook_can_call_the_guest(pods: Pods, create: Make, listener: str, port: int) -> None:
    """`/quit` ends the guest, well: its preStop is called before it is told to end."""
    hooks = {"preStop": {"httpGet": {"port": "web", "path": "/quit"}}}
    create("polite", listening(listener, port, lifecycle=hooks))
    pods.await_phase("polite", "Running")
    eventually(lambda: "listening" in pods.logs("polite"))
    pods.delete("polite")
    eventually(lambda: pods.is_gone("polite"), 10)
