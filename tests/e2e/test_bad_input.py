"""Whatever a user or a registry hands us ends in the kubelet's reason, and harms nobody else."""

from collections.abc import Iterator

import pytest
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods
from e2e.running_wasmlet import RunningWasmlet

from controlplane import Registry

NOBODY = "127.0.0.1:9"  # no registry listens on the port of `discard`


@pytest.fixture(autouse=True)
def bystander(pods: Pods, images: Images, wasmlet_up: RunningWasmlet) -> Iterator[None]:
    """A pod that must not notice anything."""
    assert wasmlet_up.process.is_running
    pods.run("bystander", images.push(guests.counts(50), "bystander"))
    pods.await_phase("bystander", "Running")
    before = pods.container("bystander")
    yield
    shown = len(pods.logs("bystander"))
    eventually(lambda: len(pods.logs("bystander")) > shown)
    assert pods.container("bystander") == before


def ends_in_image_pull_back_off(pods: Pods, image: str, why: str) -> None:
    """First the error itself, then the back-off that repeats it, and Events that say both."""
    pods.run("bad", image)
    first = pods.await_waiting("bad", "ErrImagePull")
    assert why in first["message"]
    later = pods.await_waiting("bad", "ImagePullBackOff")
    assert later["message"] == f'Back-off pulling image "{image}": ErrImagePull: {first["message"]}'
    assert pods.get("bad")["status"]["phase"] == "Pending"

    def told() -> bool:
        events = pods.events("bad")
        assert ("Failed", f'Failed to pull image "{image}": {first["message"]}') in events
        assert ("Failed", "Error: ErrImagePull") in events
        assert ("BackOff", f'Back-off pulling image "{image}"') in events
        return True

    eventually(told)


def test_an_image_that_is_not_there(pods: Pods, images: Images) -> None:
    ends_in_image_pull_back_off(pods, f"{images.registry.host}/absent:v1", "absent:v1: not found")


def test_an_image_that_wants_a_login(pods: Pods, private_registry: Registry) -> None:
    image = f"{private_registry.host}/private:v1"
    ends_in_image_pull_back_off(pods, image, "401 Unauthorized")


def test_a_registry_that_is_not_there(pods: Pods) -> None:
    ends_in_image_pull_back_off(pods, f"{NOBODY}/some:v1", "connection refused")


def test_a_registry_that_stalls(pods: Pods, private_registry: Registry) -> None:
    private_registry.process.pause()
    try:
        image = f"{private_registry.host}/some:v1"
        ends_in_image_pull_back_off(pods, image, "timeout awaiting response headers")
    finally:
        private_registry.process.resume()


@pytest.mark.parametrize(
    ("repository", "changed", "why"),
    [
        ("other-bytes", b"x", "unexpected commit digest"),
        ("too-short", b"", "unexpected commit size"),
        ("too-long", b"more", "unexpected commit size"),
    ],
)
def test_a_blob_that_is_not_what_its_descriptor_says(
    pods: Pods, images: Images, repository: str, changed: bytes, why: str
) -> None:
    module = guests.prints(repository)
    image = images.push(module, repository)
    images.tamper(module, module[:-1] + changed)
    ends_in_image_pull_back_off(pods, image, why)
    assert pods.logs("bystander")


def test_a_name_that_is_none(pods: Pods) -> None:
    pods.run("bad", "Not A Name!")
    waiting = pods.await_waiting("bad", "InvalidImageName")
    assert waiting["message"].startswith(
        'Failed to apply default image tag "Not A Name!": couldn\'t parse image name'
    )
    eventually(lambda: ("Failed", "Error: InvalidImageName") in pods.events("bad"))


def test_a_policy_that_forbids_the_pull(pods: Pods, images: Images) -> None:
    image = images.push(guests.prints("never pulled\n"), "never-pulled")
    pods.run("bad", image, imagePullPolicy="Never")
    waiting = pods.await_waiting("bad", "ErrImageNeverPull")
    wanted = f'Container image "{image}" is not present with pull policy of Never'
    assert waiting["message"] == wanted


@pytest.mark.parametrize(
    ("repository", "content", "why"),
    [
        ("no-wasm", b"this is not wasm", "not WebAssembly"),
        ("truncated", guests.prints("whole\n")[:-20], "truncated"),
        ("empty", b"", "the file is empty"),
    ],
)
def test_what_cannot_be_compiled(
    pods: Pods, images: Images, repository: str, content: bytes, why: str
) -> None:
    image = images.push(content, repository)
    pods.run("bad", image)
    waiting = pods.await_waiting("bad", "CreateContainerError")
    assert image in waiting["message"]
    assert why in waiting["message"]
    eventually(lambda: ("Failed", f"Error: {waiting['message']}") in pods.events("bad"))


@pytest.mark.parametrize(
    ("repository", "content", "why"),
    [
        ("no-start", guests.has_no_start(), "exports no function `_start`"),
        ("no-import", guests.imports_nothing_known(), "nowhere::nothing"),
    ],
)
def test_what_cannot_be_started(
    pods: Pods, images: Images, repository: str, content: bytes, why: str
) -> None:
    pods.run("bad", images.push(content, repository))
    pods.await_phase("bad", "Failed")
    terminated = pods.container("bad")["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (128, "StartError")
    assert why in terminated["message"]
    assert "Started" not in [reason for reason, _ in pods.events("bad")]


def test_a_trap_is_an_error_that_says_where(pods: Pods, images: Images) -> None:
    pods.run("bad", images.push(guests.traps(), "traps"))
    pods.await_phase("bad", "Failed")
    terminated = pods.container("bad")["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (134, "Error")
    assert "wasm `unreachable` instruction executed" in terminated["message"]


def test_a_guest_over_its_memory_limit_is_oom_killed(pods: Pods, images: Images) -> None:
    image = images.push(guests.grows_memory(), "grows")
    pods.run("bad", image, resources={"limits": {"memory": "64Mi"}})
    pods.await_phase("bad", "Failed")
    terminated = pods.container("bad")["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (137, "OOMKilled")


def test_an_annotation_that_turns_wrong_is_told_and_keeps_no_pod(
    pods: Pods, images: Images, api: Api
) -> None:
    pods.run("bad", images.push(guests.counts(50), "annotated"))
    pods.await_phase("bad", "Running")
    wrong = {"metadata": {"annotations": {"wasmlet.dev/drain": "never"}}}
    api.patch(f"/api/v1/namespaces/{pods.namespace}/pods/bad", wrong)
    fault = "metadata.annotations[wasmlet.dev/drain]: 'never' is not one of"
    eventually(lambda: any(fault in message for _, message in pods.events("bad")))
    assert pods.container("bad")["restartCount"] == 0
    pods.delete("bad")
    eventually(lambda: pods.is_gone("bad"))
