"""Where volumes lie.

    run directory (tmpfs)   volumes/blobs/             contents, once per node
                            volumes/pods/{uid}/files/  configMaps, secrets, ...
                            volumes/pods/{uid}/empty/  emptyDirs of medium Memory
                            volumes/pods/{uid}/etc/    hosts, hostname, resolv.conf
                            volumes/pods/{uid}/runs/   what was made for one run of a container
    data directory          volumes/pods/{uid}/empty/  other emptyDirs
                            volumes/pods/{uid}/etc/    an image's `/etc` with the pod's files
                            volumes/pods/{uid}/runs/   links to files in those

All of it is below a folder that nobody else may enter, so modes further down are the volume's own.
"""

from pathlib import Path
from typing import Final

from contract.ids import ContainerName, PodUid
from contract.messages.volume import EmptyDir

FOLDER: Final = "volumes"
PRIVATE: Final = 0o700


class Folders:
    """Makes what all pods share; a pod's own is made with its first volume."""

    def __init__(self, data_dir: Path, run_dir: Path) -> None:
        self.disk = str(data_dir / FOLDER)
        self.memory = str(run_dir / FOLDER)
        self.blobs = f"{self.memory}/blobs"
        for folder in (self.disk, self.memory, self.blobs):
            Path(folder).mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            Path(folder).chmod(PRIVATE)
        for folder in (self.disk, self.memory):
            Path(folder, "pods").mkdir(mode=PRIVATE, exist_ok=True)

    def pod(self, uid: PodUid) -> tuple[str, str]:
        """Return all that there is of a pod, to be removed."""
        return f"{self.disk}/pods/{uid}", f"{self.memory}/pods/{uid}"

    def pods(self) -> set[PodUid]:
        """Return whose volumes are here."""
        places = (Path(each, "pods") for each in (self.disk, self.memory))
        return {PodUid(each.name) for place in places for each in place.iterdir()}

    def files(self, uid: PodUid, volume: str) -> str:
        return f"{self.memory}/pods/{uid}/files/{_name(volume)}"

    def empty_dir(self, uid: PodUid, volume: str, source: EmptyDir) -> str:
        place = self.memory if source.memory else self.disk
        return f"{place}/pods/{uid}/empty/{_name(volume)}"

    def etc(self, uid: PodUid) -> str:
        return f"{self.memory}/pods/{uid}/etc"

    def image_etc(self, uid: PodUid, rootfs: str) -> str:
        return f"{self.disk}/pods/{uid}/etc/{Path(rootfs).name}"

    def run(self, uid: PodUid, container: ContainerName, run: int, *, memory: bool) -> str:
        place = self.memory if memory else self.disk
        return f"{place}/pods/{uid}/runs/{container}.{run}"


def make_folder(folder: str) -> None:
    Path(folder).mkdir(mode=PRIVATE, parents=True, exist_ok=True)


def _name(volume: str) -> str:
    """The API server lets no other names in; here they would lead elsewhere."""
    if not volume or "/" in volume or volume.startswith("."):
        raise ValueError(f"invalid volume name {volume!r}")
    return volume
