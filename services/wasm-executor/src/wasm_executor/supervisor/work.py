"""What a pod's task does for one container: prepare its image, start its run.

Each is a task of its own that ends with an input for the pod. Whatever goes wrong is such an
input too: nothing that happens here may take the pod, or a sibling, with it.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from contract.ids import ContainerName
from contract.messages.pod import ContainerPlan, Drain, PodPlan
from contract.messages.report import Occurrence
from wasm_executor.container.plan import Artifact, ArtifactKind, ProcessPlan, StartFailureReason
from wasm_executor.domain.effects import PrepareImage, StartRun
from wasm_executor.domain.inputs import (
    Input,
    PreparationFailed,
    RunRefused,
    RunStarted,
)
from wasm_executor.images.errors import ImageError, ImagePullError
from wasm_executor.images.policy import ImageEvent, back_off_message
from wasm_executor.images.records import PreparedImage
from wasm_executor.keeper.client import Spawned
from wasm_executor.keeper.errors import KeeperError, SpawnFailedError, StartFailedError
from wasm_executor.keeper.protocol import SpawnSpec
from wasm_executor.supervisor import metrics
from wasm_executor.supervisor.moments import now
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.runs import RunKey, log_path

log = structlog.get_logger()

CREATE_ERROR: Final = "CreateContainerError"
DEFAULT_RUNTIME: Final = "wasi"
SPAWN_RETRY_DELAYS_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""A zygote that was killed is back within a moment."""

type Tell = Callable[[Occurrence], None]


async def prepare_image(node: Node, want: PrepareImage, tell: Tell) -> PreparedImage | Input:
    """Return the image ready to run, or the news that there is none."""

    def on_event(event: ImageEvent) -> None:
        tell(
            Occurrence(
                reason=event.reason,
                message=event.message,
                at=now().wall,
                type=event.type,
                container=want.container,
            )
        )

    try:
        images = await asyncio.shield(node.images)
        return await images.ensure(want.image, want.policy, on_event=on_event)
    except ImageError as error:
        shown_after = back_off_message(want.image, error)
        return PreparationFailed(
            container=want.container,
            attempt=want.attempt,
            reason=error.reason,
            message=error.message,
            back_off_message=shown_after if isinstance(error, ImagePullError) else None,
        )


async def start_run(
    node: Node, plan: PodPlan, container: ContainerPlan, want: StartRun, image: PreparedImage
) -> Input:
    """Spawn the container and return what came of it."""
    key = str(RunKey(plan.uid, container.name, want.run))
    path = log_path(node.settings.log_root, plan, container.name, want.run)
    spec = SpawnSpec(
        key=key,
        log_path=str(path),
        log_max_bytes=node.settings.log_max_bytes,
        log_max_files=node.settings.log_max_files,
        hold_stdin=container.stdin or plan.drain is Drain.STDIN_EOF,
    )
    process = process_plan(plan, container, image)
    began = time.monotonic()
    try:
        spawned = await _spawn_patiently(node, spec, process)
    except StartFailedError as error:
        if error.reason is StartFailureReason.ARTIFACT_UNUSABLE:
            # Compiled by another engine, or damaged: the next attempt compiles it again.
            await (await node.images).forget_compiled(image)
            return _not_created(container.name, want.attempt, error.message)
        metrics.REFUSED.inc()
        return RunRefused(container=container.name, run=want.run, message=error.message)
    except KeeperError as error:
        return _not_created(container.name, want.attempt, str(error))
    metrics.STARTED.inc()
    metrics.START_SECONDS.observe(time.monotonic() - began)
    return RunStarted(
        container=container.name, run=want.run, pid=spawned.pid, at=spawned.started_at
    )


async def _spawn_patiently(node: Node, spec: SpawnSpec, process: ProcessPlan) -> Spawned:
    for delay_s in SPAWN_RETRY_DELAYS_S:
        try:
            return await node.keeper.spawn(spec, process)
        except SpawnFailedError as error:
            log.warning("spawn.failed", key=spec.key, reason=str(error), retry_in_s=delay_s)
            await asyncio.sleep(delay_s)
    return await node.keeper.spawn(spec, process)


def process_plan(plan: PodPlan, container: ContainerPlan, image: PreparedImage) -> ProcessPlan:
    """Return what the container's process is told."""
    command = container.command or (program_name(container.image),)
    return ProcessPlan(
        runtime=plan.runtime_handler or DEFAULT_RUNTIME,
        artifact=Artifact(path=str(image.aot_path), kind=ArtifactKind(image.facts.kind)),
        args=(*command, *container.args),
        env=tuple(dict(container.env).items()),
        memory_limit_bytes=container.memory_limit_bytes,
    )


def program_name(image: str) -> str:
    """Return the module's name: the last part of the image's, without tag and digest."""
    last = image.split("@", 1)[0].rsplit("/", 1)[-1]
    return last.split(":", 1)[0] if not image.startswith("file:") else last


def _not_created(container: ContainerName, attempt: int, message: str) -> PreparationFailed:
    return PreparationFailed(
        container=container, attempt=attempt, reason=CREATE_ERROR, message=message
    )


def broken(container: ContainerName, attempt: int, error: Exception) -> PreparationFailed:
    """Return the news that this program failed; the container waits and tries again."""
    return _not_created(container, attempt, f"internal error: {error!r}")
