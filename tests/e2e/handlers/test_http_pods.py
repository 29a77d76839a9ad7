"""Pods that serve HTTP: reached by their Service's endpoints, rolled over, looked into."""

import http.client
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from subprocess import run
from typing import Any

import pytest
from e2e.api import Api
from e2e.expectations import eventually
from e2e.handling import free_port, served
from e2e.pods import Pods
from registrar_peers import host_address

from controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("wasmlet_up")
TIMEOUT_S = 20
FEWEST = 50
"""Requests that tell something of a rollout."""


class Caller:
    """Asks a Service's ready endpoints, one request after another, as a proxy of it would."""

    def __init__(self, api: Api, namespace: str, service: str) -> None:
        self._api = api
        self._slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        self._selector = f"kubernetes.io/service-name={service}"
        self.ports: set[int] = set()
        self.answered = 0
        self.failures: list[str] = []

    def endpoints(self) -> list[tuple[str, int]]:
        slices = self._api.get(self._slices, labelSelector=self._selector)["items"]
        return [
            (each["addresses"][0], port["port"])
            for found in slices
            for each in found.get("endpoints") or []
            if each["conditions"].get("ready")
            for port in found.get("ports") or []
        ]

    def ask(self) -> None:
        for address, port in self.endpoints():
            try:
                status = get(address, port, "/hello")
            except OSError as error:
                self.failures.append(f"{port}: {error!r}")
            else:
                self.ports.add(port)
                self.answered += 1
                if status != http.client.OK:
                    self.failures.append(f"{port}: {status}")


def get(address: str, port: int, path: str) -> int:
    return ask(address, port, path)[0]


def ask(address: str, port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class LinuxHandler(http.server.BaseHTTPRequestHandler):
    """What a program beside the cluster answers."""

    def do_GET(self) -> None:
        self.send_response(http.client.OK)
        self.end_headers()
        self.wfile.write(f"{self.path} of a Linux process\n".encode())

    def log_message(self, *_: object) -> None:
        """The test asks, nobody else."""


@contextmanager
def linux_process(address: str) -> Iterator[int]:
    """Serve on an address of this machine; yield the port."""
    with http.server.ThreadingHTTPServer((address, 0), LinuxHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def asking(caller: Caller) -> Iterator[None]:
    """Ask all the time."""
    over = threading.Event()

    def ask_on() -> None:
        while not over.is_set():
            caller.ask()

    thread = threading.Thread(target=ask_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def deployed(api: Api, pods: Pods) -> Iterator[Callable[[dict[str, Any]], str]]:
    """Makes a Deployment of one pod and a Service before it; returns the Deployment's path."""
    made: list[str] = []

    def deploy(template: dict[str, Any]) -> str:
        app = template["metadata"]["name"]
        labels = {"app": app}
        path = f"/apis/apps/v1/namespaces/{pods.namespace}/deployments"
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": template["spec"]},
        }
        api.create(path, {"metadata": {"name": app}, "spec": spec})
        made.append(f"{path}/{app}")
        ports = [{"port": 80, "targetPort": "http"}]
        service = {"metadata": {"name": app}, "spec": {"selector": labels, "ports": ports}}
        api.create(f"/api/v1/namespaces/{pods.namespace}/services", service)
        return made[-1]

    yield deploy
    for each in made:
        api.delete(each, propagationPolicy="Foreground")


def test_a_deployment_behind_a_service_rolls_over_without_a_failed_request(
    api: Api, pods: Pods, deployed: Callable[[dict[str, Any]], str], handler_image: str
) -> None:
    before, after = free_port(), free_port()
    template = served("web", handler_image, before)
    container = template["spec"]["containers"][0]
    # Whoever asks may hear a little late that the pod is going.
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": 3}}}
    path = deployed(template)
    caller = Caller(api, pods.namespace, "web")
    eventually(caller.endpoints)
    with asking(caller):
        container["ports"][0] |= {"containerPort": after, "hostPort": after}
        change = {"spec": {"template": {"spec": {"containers": [container]}}}}
        api.patch(path, change, content_type="application/merge-patch+json")
        eventually(lambda: [port for _, port in caller.endpoints()] == [after])
        eventually(lambda: len(pods.all()) == 1)
        eventually(lambda: caller.answered >= FEWEST)
    assert caller.failures == []
    assert caller.ports == {before, after}


def test_a_handler_asks_a_linux_process_that_its_pod_names_and_no_other(
    pods: Pods, handler_image: str
) -> None:
    address, port = host_address(), free_port()
    with linux_process(address) as allowed, linux_process(address) as other:
        manifest = served("asking", handler_image, port)
        annotations = manifest["metadata"].setdefault("annotations", {})
        annotations["wasmlet.dev/allowed-hosts"] = f"{address}:{allowed}"
        pods.create(manifest)
        eventually(lambda: pods.container("asking").get("ready"))
        host = pods.get("asking")["status"]["podIP"]
        told = ask(host, port, f"/ask/{address}:{allowed}")
        assert told == (http.client.OK, b"/hello of a Linux process\n")
        assert get(host, port, f"/ask/{address}:{other}") == http.client.FORBIDDEN
        assert get(host, port, "/ask/169.254.169.254:80") == http.client.FORBIDDEN


def test_a_handlers_pod_is_looked_into_like_any_other(
    control_plane: ControlPlane, pods: Pods, handler_image: str
) -> None:
    port = free_port()
    pods.create(served("web", handler_image, port))
    eventually(lambda: pods.container("web").get("ready"))
    address = pods.get("web")["status"]["podIP"]
    assert get(address, port, "/write") == http.client.OK
    assert get(address, port, "/trap") == http.client.INTERNAL_SERVER_ERROR
    log = control_plane.kubectl("logs", "web", f"--namespace={pods.namespace}").stdout
    assert "a line on stderr\n" in log
    assert "GET /trap: " in log
    command = control_plane.kubectl.command(
        "exec", f"--namespace={pods.namespace}", "web", "--", "handler"
    )
    refused = run(command, capture_output=True, text=True, timeout=40, check=False)
    assert "the component handles HTTP requests: it is no command" in refused.stderr
    pods.delete("web")
    eventually(lambda: pods.is_gone("web"))


def test_a_handler_without_a_port_says_what_it_lacks(pods: Pods, handler_image: str) -> None:
    manifest = served("web", handler_image, free_port())
    container = manifest["spec"]["containers"][0]
    del container["ports"], container["readinessProbe"]
    pods.create(manifest)
    status = eventually(
        lambda: (
            pods.container("web").get("lastState", {}).get("terminated")
            or pods.container("web").get("state", {}).get("terminated")
        )
    )
    assert status["reason"] == "StartError"
    assert "declares no TCP containerPort" in status["message"]
