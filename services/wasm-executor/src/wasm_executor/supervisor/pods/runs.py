"""Runs under the keeper's names, and where their logs lie."""

from pathlib import Path
from typing import Final, NamedTuple, Self

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, PodPlan
from wasm_executor.domain.checkpoint import PodRecord
from wasm_executor.domain.inputs import RunEnded
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.restoring import Present
from wasm_executor.domain.verdicts import KILLED_CODE
from wasm_executor.keeper.protocol import ContainerProcess, Exit

MAX_FILE_NAME: Final = 255


class RunKey(NamedTuple):
    """`{pod uid}/{container}/{run}`: the keeper's name of one run."""

    uid: PodUid
    container: ContainerName
    run: int

    @classmethod
    def parse(cls, key: str) -> Self:
        uid, container, run = key.split("/")
        return cls(PodUid(uid), ContainerName(container), int(run))

    def __str__(self) -> str:
        return f"{self.uid}/{self.container}/{self.run}"


def run_ended(exit_: Exit) -> RunEnded:
    """Return the keeper's news of an end as the pod's."""
    key = RunKey.parse(exit_.key)
    refused = exit_.failure is not None
    return RunEnded(
        container=key.container,
        run=key.run,
        exit_code=exit_.code,
        signal=exit_.signal or 0,
        at=exit_.at,
        at_mono=exit_.at_mono,
        started_at=exit_.started_at,
        message=exit_.failure.message if exit_.failure is not None else exit_.trap or "",
        refused=refused,
    )


def vanished(key: RunKey, now: Moment) -> RunEnded:
    """Return the end of a run that nobody saw."""
    return RunEnded(
        container=key.container,
        run=key.run,
        exit_code=KILLED_CODE,
        at=now.wall,
        started_at=now.wall,
        lost=True,
    )


def present_of(process: ContainerProcess) -> Present:
    """Return a row of the keeper's table as a witness of the pod's past."""
    key = RunKey.parse(process.key)
    return Present(
        container=key.container,
        run=key.run,
        pid=process.pid,
        started_at=process.started_at,
        end=None if process.exit is None else run_ended(process.exit),
    )


def container_of(plan: PodPlan, name: ContainerName) -> ContainerPlan:
    """Return the part of a pod's plan that is a container's."""
    return next(each for each in plan.containers if each.name == name)


type NamedPod = PodPlan | PodRecord


def pod_log_folder(log_root: Path, pod: NamedPod) -> Path:
    """Return a pod's folder, under the kubelet's name for it.

    Where no file system takes that, for its length, the pod's name in it is cut: a kubelet never
    starts such a pod.
    """
    room = MAX_FILE_NAME - len(f"{pod.namespace}__{pod.uid}")
    return log_root / "pods" / f"{pod.namespace}_{pod.name[:room]}_{pod.uid}"


def log_path(log_root: Path, pod: NamedPod, container: ContainerName, run: int) -> Path:
    return pod_log_folder(log_root, pod) / container / f"{run}.log"
