"""What a pod's task does for one container before its run: prepare its image, plan its process.

Work is a task of its own that ends with an input for the pod. Whatever goes wrong is such an
input too: nothing that happens here may take the pod, or a sibling, with it.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import structlog

from contract.ids import ContainerName
from contract.messages.pod import ContainerPlan, PodPlan
from contract.messages.pull import PullPolicy
from contract.messages.report import Occurrence
from contract.messages.volume import ImageVolume
from wasm_executor.container.plan import Artifact, ArtifactKind, ProcessPlan
from wasm_executor.domain.container import CONFIG_ERROR, Container
from wasm_executor.domain.effects import PrepareImage, PrepareVolumes
from wasm_executor.domain.inputs import Input, PreparationFailed, VolumesFailed, VolumesPrepared
from wasm_executor.images.errors import ImageError, ImagePullError
from wasm_executor.images.keyring import Keyring
from wasm_executor.images.localfile import PREFIX
from wasm_executor.images.policy import ImageEvent, back_off_message
from wasm_executor.images.records import Overrides, PreparedImage
from wasm_executor.images.rootmodule import command_line, working_folder
from wasm_executor.supervisor.moments import now
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.httpplans import http_plan, is_served
from wasm_executor.volumes.errors import MountError
from wasm_executor.volumes.volumes import Volumes

log = structlog.get_logger()

CREATE_ERROR: Final = "CreateContainerError"
DEFAULT_RUNTIME: Final = "wasi"

type Tell = Callable[[Occurrence], None]


async def prepare_image(
    node: Node, plan: PodPlan, container: ContainerPlan, want: PrepareImage, tell: Tell
) -> PreparedImage | Input:
    """Return the image ready to run, or the news that there is none.

    The images that the container mounts are had before: one that cannot be had is told as if it
    were the container's own, as a kubelet does.
    """
    name, on_event = want.image, _telling_of_images(tell, want.container)
    try:
        images, mounted_ids = await asyncio.shield(node.images), list[str]()
        for volume, source in _images_mounted(plan, container):
            name = source.image
            mounted = await images.mounted(
                name, source.pull_policy, on_event=on_event, keyring=keyring_of(plan)
            )
            node.volumes.image_folders.put(plan.uid, volume, str(mounted.folder))
            mounted_ids.append(mounted.image_id)
        name = want.image
        prepared = await images.ensure(
            want.image,
            want.policy,
            on_event=on_event,
            keyring=keyring_of(plan),
            overrides=overrides_of(container),
            compiled=_is_compiled(node, plan),
        )
        return msgspec.structs.replace(prepared, mounted=tuple(mounted_ids))
    except ImageError as error:
        shown_after = back_off_message(name, error)
        return PreparationFailed(
            container=want.container,
            attempt=want.attempt,
            reason=error.reason,
            message=error.message,
            back_off_message=shown_after if isinstance(error, ImagePullError) else None,
        )


def _is_compiled(node: Node, plan: PodPlan) -> bool:
    """What a program of the machine runs is that program's to compile."""
    return plan.runtime_handler not in node.externals


def _telling_of_images(tell: Tell, container: ContainerName) -> Callable[[ImageEvent], None]:
    def on_event(event: ImageEvent) -> None:
        tell(
            Occurrence(
                reason=event.reason,
                message=event.message,
                at=now().wall,
                type=event.type,
                container=container,
            )
        )

    return on_event


def _images_mounted(plan: PodPlan, container: ContainerPlan) -> Iterator[tuple[str, ImageVolume]]:
    wanted = {each.volume for each in container.mounts}
    for volume in plan.volumes:
        if volume.name in wanted and isinstance(volume.source, ImageVolume):
            yield volume.name, volume.source


async def have_volumes(volumes: Volumes, plan: PodPlan, want: PrepareVolumes) -> Input:
    """Return the news that a pod's volumes are as planned, or that one cannot be."""
    try:
        await (volumes.update(plan) if want.renewal else volumes.prepare(plan))
    except MountError as error:
        return VolumesFailed(attempt=want.attempt, message=error.message)
    except Exception as error:  # a failure of this program: the pod waits and tries again
        log.exception("volumes.broke", pod_uid=plan.uid)
        return VolumesFailed(attempt=want.attempt, message=f"internal error: {error!r}")
    return VolumesPrepared(attempt=want.attempt)


async def image_of_run(node: Node, plan: PodPlan, container: Container) -> PreparedImage:
    """Return what a run that was taken over is made of; raises `ImageError` where it is gone."""
    images = await asyncio.shield(node.images)
    local = container.history.image.startswith(PREFIX)
    image = container.history.image if local else container.history.image_id
    return await images.ensure(
        image,
        PullPolicy.NEVER,
        keyring=None,
        overrides=overrides_of(container.plan),
        compiled=_is_compiled(node, plan),
    )


def process_plan(
    plan: PodPlan, container: ContainerPlan, image: PreparedImage, *, sockets: bool
) -> ProcessPlan:
    """Return what the container's process is told; its folders are the caller's to add."""
    served = is_served(plan.runtime_handler, image.facts.world)
    return ProcessPlan(
        runtime=plan.runtime_handler,
        artifact=Artifact(
            path=str(image.aot_path),
            kind=ArtifactKind(image.facts.kind),
            world=image.facts.world,
            host_types=image.facts.host_types,
        ),
        args=_argv(container, image),
        env=_environment(container, image),
        memory_limit_bytes=container.memory_limit_bytes,
        network=sockets,
        http=http_plan(plan, container) if served else None,
    )


def keyring_of(plan: PodPlan) -> Keyring:
    """Return the credentials of the pod's image pull secrets."""
    return Keyring(namespace=plan.namespace, keys=plan.pull_keys, problem=plan.pull_problem)


def overrides_of(container: ContainerPlan) -> Overrides:
    """Return what of a container's plan decides which file of its image is run."""
    return Overrides(
        command=container.command, args=container.args, working_dir=container.working_dir
    )


def _argv(container: ContainerPlan, image: PreparedImage) -> tuple[str, ...]:
    """An artifact is a module and no more: its own name stands where an image has a program's."""
    argv = command_line(image.config, overrides_of(container))
    if argv and (container.command or image.config.entrypoint or image.rootfs):
        return argv
    return (program_name(container.image), *(container.args or image.config.cmd))


def _environment(container: ContainerPlan, image: PreparedImage) -> tuple[tuple[str, str], ...]:
    """What the pod says goes before the image's word. A guest learns by `PWD` where it begins."""
    folder = working_folder(image.config, overrides_of(container))
    own = {"PWD": folder} if folder else {}
    return tuple((own | dict(image.config.env) | dict(container.env)).items())


def program_name(image: str) -> str:
    """Return the module's name: the last part of the image's, without tag and digest."""
    last = image.split("@", 1)[0].rsplit("/", 1)[-1]
    return last.split(":", 1)[0] if not image.startswith("file:") else last


def not_created(container: ContainerName, attempt: int, message: str) -> PreparationFailed:
    return PreparationFailed(
        container=container, attempt=attempt, reason=CREATE_ERROR, message=message
    )


def misconfigured(container: ContainerName, attempt: int, message: str) -> PreparationFailed:
    """Return the news that the container cannot have its world as its plan wants it."""
    return PreparationFailed(
        container=container, attempt=attempt, reason=CONFIG_ERROR, message=message
    )


def dns_warning(message: str) -> Occurrence:
    """Return the Event that tells of resolver settings which were left out."""
    return Occurrence(reason="DNSConfigForming", message=message, at=now().wall, type="Warning")


def broken(container: ContainerName, attempt: int, error: Exception) -> PreparationFailed:
    """Return the news that this program failed; the container waits and tries again."""
    return not_created(container, attempt, f"internal error: {error!r}")
