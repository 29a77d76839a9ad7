"""Which images the pods of this node have, for whoever removes those that nobody has."""

import asyncio
from collections.abc import Iterator

from contract.messages.pod import PodPlan
from contract.messages.volume import ImageVolume
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.roster import Roster


async def collect_images(node: Node, roster: Roster) -> None:
    """Make room for images, as long as this executor lives."""
    images = await asyncio.shield(node.images)
    collector = images.collector(lambda: images_in_use(node, roster))
    await collector.collect_regularly(node.settings.image_gc_interval_s)


def images_in_use(node: Node, roster: Roster) -> set[str]:
    """Return names and IDs: of what pods run, of what they may start, and of what they mount.

    A pod that is over counts too, as under a kubelet, until it is forgotten; so does one that runs
    without its plan. A tag may have moved since a run was begun, so what that has counts by its ID.
    """
    used = {node.settings.toolbox_image or ""}
    for record in node.checkpoint.records.values():
        for container in record.containers:
            used |= {container.image, container.image_id, *container.mounted}
    for task in roster:
        used.update(_named(task.pod.plan))
    return used - {""}


def _named(plan: PodPlan) -> Iterator[str]:
    yield plan.toolbox
    for container in plan.containers:
        yield container.image
    for volume in plan.volumes:
        if isinstance(volume.source, ImageVolume):
            yield volume.source.image
