"""Termination messages, as the API shows them: where they are read, and how much of them is kept.

The kubelet's limits: the last 4096 bytes of a container's file, or of its log the last 80 lines and
2048 bytes; and of 12 KiB for the whole pod each container of the spec has the same share.
"""

from collections.abc import Callable
from typing import Any

import pytest
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods
from e2e.speaking import NAME, speaker, speaking

pytestmark = pytest.mark.usefixtures("wasmlet_up")
type Make = Callable[..., dict[str, Any]]

FILE_BYTES = 4096
LOG_BYTES = 2048
POD_BYTES = 12 * 1024
FALLS_BACK = {"terminationMessagePolicy": "FallbackToLogsOnError"}


@pytest.fixture(scope="session")
def speaks(images: Images) -> Callable[..., dict[str, Any]]:
    """A container that says something last; see `speaker`."""
    image = images.push(speaking(), NAME)

    def make(name: str, **more: Any) -> dict[str, Any]:
        return speaker(name, image, **more)

    return make


def messages(found: dict[str, Any], state: str = "state") -> dict[str, str]:
    """The message of each container that has ended, by its name; empty where it has none."""
    fields = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    return {
        status["name"]: status[state]["terminated"].get("message", "")
        for field in fields
        for status in found["status"].get(field, [])
        if "terminated" in status.get(state, {})
    }


def messages_of(pods: Pods, name: str, phase: str = "Failed") -> dict[str, str]:
    return messages(pods.await_phase(name, phase))


def test_a_message_is_read_where_its_path_says(pods: Pods, create: Make, speaks: Make) -> None:
    paths = {
        "default": "/dev/termination-log",
        "nested": "/var/log/app/end",
        "root": "/end",
        "relative": "the/end",
        "climbing": "/var/../the/./last",
    }
    seen_at = paths | {"relative": "/the/end", "climbing": "/the/last"}
    spoken = {name: speaks(name, file=seen_at[name], said=f"at {name}") for name in paths}
    for name in set(paths) - {"default"}:
        spoken[name]["terminationMessagePath"] = paths[name]
    create("paths", *spoken.values())
    assert messages_of(pods, "paths") == {name: f"at {name}" for name in paths}


def test_a_message_tells_of_a_success_too_and_of_the_run_before(
    pods: Pods, create: Make, speaks: Make
) -> None:
    create("well", speaks("main", said="all done", logged="unasked", code=0))
    create("again", speaks("main", said="not yet"), restartPolicy="OnFailure")
    assert messages_of(pods, "well", "Succeeded") == {"main": "all done"}
    said = eventually(lambda: messages(pods.get("again"), "lastState"))
    assert said == {"main": "not yet"}


def test_of_a_long_message_the_last_4096_bytes_are_kept(
    pods: Pods, create: Make, speaks: Make
) -> None:
    kept = "".join(f"line {number:03}\n" for number in range(1000))[-FILE_BYTES:]
    create("long", speaks("main", said="x" * 5000 + kept))
    assert messages_of(pods, "long") == {"main": kept}


def test_a_log_stands_in_for_a_message_only_of_a_failure_that_left_none(
    pods: Pods, create: Make, speaks: Make
) -> None:
    create(
        "policies",
        speaks("falls", logged="by log\n", **FALLS_BACK),
        speaks("spoke", said="by file", logged="by log\n", **FALLS_BACK),
        speaks("asked", logged="by log\n", terminationMessagePolicy="File"),
        speaks("well", logged="by log\n", code=0, **FALLS_BACK),
    )
    said = messages_of(pods, "policies")
    assert said == {"falls": "by log\n", "spoke": "by file", "asked": "", "well": ""}


def test_of_a_log_80_lines_and_2048_bytes_are_kept_at_most(
    pods: Pods, create: Make, speaks: Make
) -> None:
    short = [f"{number}\n" for number in range(200)]
    wide = "".join(f"{number:02} {'.' * 96}\n" for number in range(60))
    create(
        "logs",
        speaks("short", logged="".join(short), **FALLS_BACK),
        speaks("wide", logged=wide, **FALLS_BACK),
    )
    said = messages_of(pods, "logs")
    assert said == {"short": "".join(short[-80:]), "wide": wide[-LOG_BYTES:]}


def test_containers_of_every_kind_share_12_kib_and_keep_the_beginning_of_their_message(
    pods: Pods, create: Make, speaks: Make
) -> None:
    """Six containers have 2048 bytes each, of the 4096 at the end of their files."""
    long = "x" * 1000 + "".join(f"{number:04}" for number in range(1024))
    inits = [speaks("init", said=long, code=0)]
    apps = [speaks(f"app-{number}", said=long) for number in range(4)]
    logged = speaks("logged", logged="y" * LOG_BYTES, **FALLS_BACK)
    create("shared", *apps, logged, initContainers=inits)
    said = messages_of(pods, "shared")
    share = POD_BYTES // 6
    assert said.pop("logged") == "y" * LOG_BYTES
    assert said == {each["name"]: long[-FILE_BYTES:][:share] for each in (*inits, *apps)}


def test_a_container_that_is_added_takes_its_share_of_what_others_have_said(
    pods: Pods, api: Api, create: Make, speaks: Make, play: Make
) -> None:
    long = "".join(f"{number:04}" for number in range(1024))
    create("debugged", speaks("main", said=long), play("other", "sleep"))
    eventually(lambda: messages(pods.get("debugged")) == {"main": long})
    added = [speaks(f"debugger-{number}", said="looked") for number in range(2)]
    path = f"/api/v1/namespaces/{pods.namespace}/pods/debugged/ephemeralcontainers"
    api.patch(path, {"spec": {"ephemeralContainers": added}})
    rest = {"main": long[: POD_BYTES // 4], "debugger-0": "looked", "debugger-1": "looked"}
    eventually(lambda: messages(pods.get("debugged")) == rest)
