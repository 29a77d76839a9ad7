"""Where a pod's volumes are, each by what it is made of."""

from typing import NamedTuple

from contract.ids import PodUid
from contract.messages.volume import EmptyDir, Files, HostPath, ImageVolume, VolumePlan
from wasm_executor.volumes.atomic import is_published
from wasm_executor.volumes.folders import Folders
from wasm_executor.volumes.hostpath import HostPathRefusedError, HostPaths
from wasm_executor.volumes.imagefolders import ImageFolders


class Source(NamedTuple):
    """A volume that is there."""

    host_path: str
    beneath: tuple[str, ...] = ()
    read_only: bool = False
    in_memory: bool = False
    is_swapped: bool = False
    """It is replaced whole: what is seen of a part of it must be kept."""
    is_ours: bool = True
    """The executor made it: a place for another mount may be made in it."""
    is_image: bool = False
    """Nothing can be made in it, not even an empty folder for a part that is not there."""


class Sources:
    def __init__(
        self, folders: Folders, host_paths: HostPaths, image_folders: ImageFolders
    ) -> None:
        self._folders = folders
        self._host_paths = host_paths
        self._image_folders = image_folders

    def find(self, uid: PodUid, volume: VolumePlan) -> Source | None:
        """None: it has nothing to show. What has lost its source shows what it last had."""
        match volume.source:
            case Files():
                return self._of_files(uid, volume)
            case None if is_published(self._folders.files(uid, volume.name)):
                return self._of_files(uid, volume)
            case EmptyDir(memory=memory) as source:
                folder = self._folders.empty_dir(uid, volume.name, source)
                return Source(folder, in_memory=memory)
            case HostPath(path=path):
                return self._on_host(path)
            case ImageVolume():
                return self._of_image(uid, volume)
        return None

    def _of_files(self, uid: PodUid, volume: VolumePlan) -> Source:
        folder = self._folders.files(uid, volume.name)
        return Source(folder, read_only=True, in_memory=True, is_swapped=True)

    def _of_image(self, uid: PodUid, volume: VolumePlan) -> Source | None:
        folder = self._image_folders.find(uid, volume.name)
        if folder is None:
            return None
        return Source(folder, read_only=True, is_ours=False, is_image=True)

    def _on_host(self, path: str) -> Source | None:
        try:
            place = self._host_paths.place(path)
        except HostPathRefusedError:
            return None
        return Source(place.prefix, (place.rest,), is_ours=False)
