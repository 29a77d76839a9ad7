"""What all pods of this executor share: the keeper, images, stores, the group that owns tasks."""

import asyncio
import os
from collections.abc import Mapping
from typing import Final

import structlog

from contract.messages.node import NodeImage
from servicekit.bus import Bus
from wasm_executor.checking.sockets import SocketHolders
from wasm_executor.domain.backoff import BackOffRules
from wasm_executor.domain.frame import Rules
from wasm_executor.errors import PlanNotStoredError
from wasm_executor.images.puller import ImageService
from wasm_executor.keeper.client import KeeperClient
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor.blobs import Blobs
from wasm_executor.supervisor.cgroups import memory_limit
from wasm_executor.supervisor.execs.toolbox import Toolbox
from wasm_executor.supervisor.externals import ExternalRuntimeFile
from wasm_executor.supervisor.identity import Identity
from wasm_executor.supervisor.logs.logreaders import LogReaders
from wasm_executor.supervisor.memory import MemoryWatch, Room
from wasm_executor.supervisor.pods.checkpoints import Checkpoint
from wasm_executor.supervisor.pods.lastwords import LastWords
from wasm_executor.supervisor.pods.plans import PlanStore, Standing
from wasm_executor.supervisor.pods.worlds import Worlds
from wasm_executor.supervisor.reporting import Reporter
from wasm_executor.volumes.etcfiles import EtcFiles
from wasm_executor.volumes.folders import Folders
from wasm_executor.volumes.imageetc import ImageEtc
from wasm_executor.volumes.volumes import Volumes

log = structlog.get_logger()

KEPT_OF_RESERVE: Final = 4
"""The reserve is for the executor itself; when this part of it is all that is free, a pod goes."""


class Node:
    """The executor's means. Its parts do not know pods."""

    def __init__(
        self,
        settings: ExecutorSettings,
        identity: Identity,
        tasks: asyncio.TaskGroup,
        *,
        keeper: KeeperClient,
        images: asyncio.Future[ImageService],
        reporter: Reporter,
    ) -> None:
        self.settings = settings
        self.identity = identity
        self.tasks = tasks
        self.keeper = keeper
        self.images = images
        self.reporter = reporter
        self.plans = PlanStore(settings.run_dir)
        self.checkpoint = Checkpoint(settings.data_dir)
        self.log_readers = LogReaders()
        kept = settings.reserved_memory_bytes // KEPT_OF_RESERVE
        self.memory = MemoryWatch(os.getppid(), Room(memory_limit(), kept))
        self.blobs = Blobs(reporter.node)
        self.volumes = Volumes(
            settings.data_dir, settings.run_dir, self.blobs.content, settings.host_path_prefixes
        )
        self.last_words = LastWords(settings, self.volumes)
        folders = Folders(settings.data_dir, settings.run_dir)
        etc_files = EtcFiles(folders, settings.resolv_conf)
        image_etc = ImageEtc(folders)
        self.worlds = Worlds(self.last_words, self.volumes, etc_files, image_etc)
        self.socket_holders = SocketHolders()
        self.toolbox = Toolbox(settings.toolbox_image, images)
        self.rules = rules_of(settings)
        self.externals: Mapping[str, ExternalRuntimeFile] = {}
        """Runtime programs of this machine, by handler; there from the start on."""
        self.standing = self.plans.load_standing()

    def speak(self, bus: Bus) -> None:
        """The node is ours: say what there is, and read what is asked for."""
        self.reporter.speak(bus)
        self.blobs.open(bus)

    def keep_silent(self) -> None:
        self.reporter.keep_silent()
        self.blobs.close()

    def keep_standing(self, standing: Standing) -> None:
        """Remember it, for a supervisor after this one too.

        Where there is no room for that, this one remembers: nodes are granted and pods forgotten
        on a full disk too.
        """
        if standing == self.standing:
            return
        self.standing = standing
        try:
            self.plans.save_standing(standing)
        except PlanNotStoredError as error:
            log.warning("standing.write_failed", reason=error.reason)

    def listed_images(self) -> tuple[NodeImage, ...]:
        """Return what there is to show of the image store; nothing before it is open."""
        opened = self.images.done() and not self.images.cancelled()
        return self.images.result().listed() if opened else ()

    def drop_stored_plans(self) -> None:
        """Another runs these pods now: no supervisor after this one goes on with them."""
        for stored in self.plans.load():
            self.plans.drop(stored.plan.uid)

    @property
    def life(self) -> int:
        """The keeper's start count."""
        return self.identity.incarnation.start_count


def rules_of(settings: ExecutorSettings) -> Rules:
    return Rules(
        restarts=BackOffRules(
            initial_s=settings.restart_delay_s,
            max_s=settings.restart_delay_max_s,
            reset_after_s=settings.restart_reset_s,
        ),
        images=BackOffRules(initial_s=settings.image_delay_s, max_s=settings.image_delay_max_s),
        error_shown_s=settings.error_shown_s,
    )
