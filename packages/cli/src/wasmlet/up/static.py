"""Pods of a folder while they run: what they print, what they wait for, how they end."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from contract.staticstatus import StaticContainer, StaticPod, StaticStatus
from wasmlet.errors import CommandLineError
from wasmlet.up.outputs import OutputFollower
from wasmlet.up.status import read_status

STATUS_POLL_S: Final = 0.05
MANIFESTS: Final = (".yaml", ".yml", ".json")
_EVERYDAY: Final = ("", "ContainerCreating", "PodInitializing")
_NEVER: Final = ("InvalidImageName", "ErrImageNeverPull")
_IMAGE_MISSING: Final = ("ErrImagePull", "ImagePullBackOff")


class StaticRun:
    """The pods of one `up --manifests`."""

    def __init__(
        self,
        status_file: Path,
        outputs: OutputFollower,
        say: Callable[[str], None],
        *,
        until_complete: bool,
    ) -> None:
        self._file = status_file
        self._outputs = outputs
        self._say = say
        self._until_complete = until_complete
        self._said: set[str] = set()

    async def watch(self, ready_line: str) -> bool:
        """Tell what happens. Returns only with `until_complete`, whether all pods succeeded.

        With it a manifest that is wrong at the start, or missing, raises `CommandLineError`; a
        node that is to stay runs the others, as a kubelet's does after a reboot.
        """
        while not (status := read_status(self._file)).ready:
            self._refuse(status)
            await asyncio.sleep(STATUS_POLL_S)
        self._refuse(status)
        self._say(ready_line)
        while True:
            status = read_status(self._file)
            self._outputs.show(status.pods)
            for problem in status.errors:
                self._say_once(problem)
            for pod in status.pods:
                self._tell(pod)
            if self._until_complete and all(ended(pod) for pod in status.pods):
                return all(pod.phase == "Succeeded" for pod in status.pods)
            await asyncio.sleep(STATUS_POLL_S)

    def _refuse(self, status: StaticStatus) -> None:
        if not self._until_complete:
            return
        if status.errors:
            raise CommandLineError(status.errors[0])
        if status.ready and not status.pods:
            raise CommandLineError("the manifests hold no pods")

    def _tell(self, pod: StaticPod) -> None:
        name = f"pod {pod.namespace}/{pod.name}"
        if ended(pod):
            phase = pod.phase if pod.ended else "cannot run"
            detail = pod.message or ", ".join(_outcome(each) for each in pod.containers)
            self._say_once(f"{name} {phase}" + (f" ({detail})" if detail else ""))
            return
        for each in pod.containers:
            if each.state == "waiting" and each.reason not in _EVERYDAY:
                self._say_once(f"{name} waits: {_outcome(each)}")

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)


def ended(pod: StaticPod) -> bool:
    """Say whether a pod will not run again, or can never run: its image is no file, or no name."""
    return pod.ended or any(_is_hopeless(each) for each in pod.containers)


def _is_hopeless(container: StaticContainer) -> bool:
    if container.state != "waiting":
        return False
    missing_file = container.reason in _IMAGE_MISSING and 'image "file:' in container.message
    return container.reason in _NEVER or missing_file


def _outcome(container: StaticContainer) -> str:
    if container.exit_code is not None:
        return f"{container.name} exited with {container.exit_code}"
    return f"{container.name}: {container.reason} {container.message}".rstrip(": ")


def require_manifests(folder: Path) -> None:
    """Refuse a folder without any manifest before anything is started."""
    if not any(file.suffix in MANIFESTS for file in folder.iterdir()):
        raise CommandLineError(f"there are no manifests ({', '.join(MANIFESTS)}) in {folder}")
