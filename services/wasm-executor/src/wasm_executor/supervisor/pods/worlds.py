"""What the processes of a run see of files: its last words, its pod's `/etc`, and its mounts."""

from contextlib import suppress
from typing import NamedTuple

from contract.ids import PodUid
from contract.messages.pod import ContainerPlan, PodPlan
from wasm_executor.container.plan import Preopen
from wasm_executor.supervisor.pods.lastwords import LastWords
from wasm_executor.volumes.etcfiles import ETC, EtcFiles
from wasm_executor.volumes.finishing import finished
from wasm_executor.volumes.imageetc import ImageEtc
from wasm_executor.volumes.removing import begin_at_leisure
from wasm_executor.volumes.volumes import Volumes
from wasm_executor.volumes.world import ROOT


class World(NamedTuple):
    """What a run sees, and what is to be warned of: said once for a pod."""

    container: ContainerPlan
    """With the values of variables that are in files."""
    preopens: tuple[Preopen, ...]
    warnings: tuple[str, ...] = ()


class Worlds:
    """Made for a run by its start; found again by whatever runs beside it."""

    def __init__(
        self,
        last_words: LastWords,
        volumes: Volumes,
        etc_files: EtcFiles,
        image_etc: ImageEtc,
    ) -> None:
        self._last_words = last_words
        self._volumes = volumes
        self._etc_files = etc_files
        self._image_etc = image_etc

    async def make(
        self, plan: PodPlan, container: ContainerPlan, run: int, rootfs: str = ""
    ) -> World:
        """Make what a run needs; raise `ContainerMountError`, `EtcFilesError`.

        `rootfs` is the folder of its image's files, which it sees where nothing else is.
        """
        warnings = self._etc_files.make(plan)  # three small files on tmpfs: no thread is worth it
        words = self._last_words.prepare(plan.uid, container, run)
        others = self._with_etc(words, plan, container)
        if rootfs:
            await finished(self._make_image_etc, plan, rootfs, others)
            others = self._with_rootfs(others, plan, rootfs)
        if container.file_variables:
            read = self._volumes.variables.read
            container = await finished(read, plan, container, run)
        if not container.mounts:
            return World(container, others, warnings)  # on the way of most starts
        if self._volumes.shows_quickly(plan, container):
            preopens = self._mount(plan, container, run, others)
        else:
            preopens = await finished(self._mount, plan, container, run, others)
        return World(container, preopens, warnings)

    def find(self, plan: PodPlan, container: ContainerPlan, run: int, rootfs: str = "") -> World:
        """Return what a run was given."""
        if container.file_variables:
            container = self._volumes.variables.find(plan, container, run)
        words = self._last_words.preopens(plan.uid, container, run)
        others = self._with_etc(words, plan, container)
        if rootfs:
            others = self._with_rootfs(others, plan, rootfs)
        return World(container, self._volumes.preopens(plan, container, run, others))

    def drop(self, uid: PodUid, container: ContainerPlan, run: int) -> None:
        """Take away what a run was given, once none of its processes is left.

        At once, for a run that never came to be leaves its number to the next one; what a guest has
        put in there is removed later.
        """
        self._last_words.take_run(uid, container.name, run)
        if container.mounts or container.file_variables:
            self._volumes.take_run(uid, container.name, run)
        with suppress(RuntimeError):  # no thread can be had: the next removal finds it
            begin_at_leisure(self._empty)

    def _empty(self) -> None:
        self._last_words.empty()
        self._volumes.empty()

    def _mount(
        self, plan: PodPlan, container: ContainerPlan, run: int, others: tuple[Preopen, ...]
    ) -> tuple[Preopen, ...]:
        preopens = self._volumes.preopens(plan, container, run, others)
        self._last_words.prepare_in_volume(plan.uid, container, run, plan.drain)
        return preopens

    def _with_etc(
        self, words: tuple[Preopen, ...], plan: PodPlan, container: ContainerPlan
    ) -> tuple[Preopen, ...]:
        if any(each.guest_path == ETC for each in words):
            return words  # the container says its last words there
        return (*words, *self._etc_files.preopens(plan, container))

    def _make_image_etc(self, plan: PodPlan, rootfs: str, others: tuple[Preopen, ...]) -> None:
        for each in others:
            if each.guest_path == ETC and each.read_only:
                self._image_etc.make(plan, rootfs, each)

    def _with_rootfs(
        self, others: tuple[Preopen, ...], plan: PodPlan, rootfs: str
    ) -> tuple[Preopen, ...]:
        """Add the image's files, and let those of its `/etc` be seen beside the pod's."""
        shown = (
            self._image_etc.instead(plan, rootfs, each)
            if each.guest_path == ETC and each.read_only
            else each
            for each in others
        )
        return (*shown, Preopen(host_path=rootfs, guest_path=ROOT, read_only=True))
