"""The manifests of examples/cluster run as they are, by the commands that their comments show."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import wasmtime
from e2e.api import Api
from e2e.expectations import eventually
from e2e.pods import Pods
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane, Registry

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples"
MANIFESTS = sorted(EXAMPLES.glob("cluster/*.yaml"))  # the order in which kubectl applies them
RUNTIME_CLASS, *WITH_IMAGES = MANIFESTS
WRITTEN_HOST = "127.0.0.1:5000"
WRITTEN_GUESTS = ".dev/guests"

# What `make examples` builds; hello from text, for a C compiler is not everywhere.
GUESTS = {
    "hello.wasm": EXAMPLES / "hello" / "hello.wat",
    "counter.wasm": EXAMPLES / "guests" / "counter.wat",
}

pytestmark = pytest.mark.usefixtures("wasmlet_up")


def shown_commands(manifest: Path) -> list[str]:
    """The indented lines of the comment at the head."""
    return re.findall(r"^#   (\S.*)$", manifest.read_text(), re.MULTILINE)


@pytest.fixture(scope="module", autouse=True)
def pushed(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Runs every push that a manifest shows, with the guests and the registry of this session."""
    folder = tmp_path_factory.mktemp("guests")
    for name, text in GUESTS.items():
        (folder / name).write_bytes(wasmtime.wat2wasm(text.read_text()))
    for manifest in WITH_IMAGES:
        (push,) = (each for each in shown_commands(manifest) if " push " in each)
        program, *words = shlex.split(push)
        assert program == ".venv/bin/wasmlet"
        words = [
            word.replace(WRITTEN_HOST, registry.host).replace(WRITTEN_GUESTS, str(folder))
            for word in words
        ]
        subprocess.run([sys.executable, "-m", "wasmlet", *words], check=True, capture_output=True)


@pytest.fixture
def applied(
    control_plane: ControlPlane, registry: Registry, api: Api, pods: Pods, tmp_path: Path
) -> Iterator[Pods]:
    """`kubectl apply -f examples/cluster`; only the registry's port is another."""
    for manifest in MANIFESTS:
        text = manifest.read_text().replace(WRITTEN_HOST, registry.host)
        (tmp_path / manifest.name).write_text(text)
    control_plane.kubectl("apply", f"--namespace={pods.namespace}", "-f", str(tmp_path))
    yield pods
    for controller in ("deployments/counters", "daemonsets/everywhere"):
        api.delete(f"/apis/apps/v1/namespaces/{pods.namespace}/{controller}")


def test_the_examples_run_as_they_are(
    applied: Pods, control_plane: ControlPlane, wasmlet_up: RunningWasmlet
) -> None:
    applied.await_phase("hello", "Succeeded")
    assert applied.logs("hello") == "Hello from WebAssembly, run by wasmlet\n"
    control_plane.kubectl(
        "wait",
        f"--namespace={applied.namespace}",
        "--for=condition=Available",
        "deployment/counters",
        "--timeout=40s",
    )
    namespace = f"--namespace={applied.namespace}"
    control_plane.kubectl("rollout", "status", namespace, "daemonset/everywhere", "--timeout=40s")
    everywhere = applied.all(labelSelector="app=everywhere")
    assert {each["spec"]["nodeName"] for each in everywhere} >= set(wasmlet_up.nodes)
    applied.await_phase("counter", "Running")
    eventually(lambda: applied.logs("counter").startswith("1\n2\n"))


def test_the_runtime_class_is_there_before_the_pods_that_name_it() -> None:
    assert "kind: RuntimeClass\n" in RUNTIME_CLASS.read_text()
    assert all("runtimeClassName: " in each.read_text() for each in WITH_IMAGES)


@pytest.mark.parametrize("manifest", WITH_IMAGES, ids=lambda path: path.name)
def test_each_comment_applies_its_own_manifest(manifest: Path) -> None:
    path = manifest.relative_to(REPOSITORY)
    assert f"kubectl apply -f {path}" in shown_commands(manifest)


def test_make_examples_builds_the_guests_that_the_comments_push() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for guest in GUESTS:
        assert f"{WRITTEN_GUESTS}/{guest}" in makefile
