"""An image's own `/etc`, with the three files of the pod in it.

A guest finds a file by the longest path that was opened for it, so that the pod's `/etc` would hide
all that the image has there: certificates, settings of programs. Where it has anything, containers
see a folder of links to it instead, in which the pod's files lie; made once for a pod and an image.
"""

import os
import shutil
import threading
from pathlib import Path

from contract.messages.pod import PodPlan
from wasm_executor.container.plan import Preopen
from wasm_executor.volumes.etcfiles import ETC, EtcFilesError
from wasm_executor.volumes.folders import Folders, make_folder
from wasm_executor.volumes.materials import linked_or_copied


class ImageEtc:
    """Of one node's pods."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._turn = threading.Lock()

    def make(self, plan: PodPlan, rootfs: str, files: Preopen) -> None:
        """Have the folder, where the image needs one; `files` shows the pod's. Blocks.

        Raise `EtcFilesError`.
        """
        folder = self._folders.image_etc(plan.uid, rootfs)
        with self._turn:  # containers of a pod start side by side
            if _has_etc(rootfs) and not Path(folder).is_dir():
                self._fill(folder, rootfs, files)

    def _fill(self, folder: str, rootfs: str, files: Preopen) -> None:
        partial = f"{folder}.partial"
        try:
            shutil.rmtree(partial, ignore_errors=True)
            make_folder(str(Path(folder).parent))
            shutil.copytree(
                f"{rootfs}{ETC}", partial, symlinks=True, copy_function=linked_or_copied
            )
            for each in Path(files.host_path).iterdir():
                own = Path(partial, each.name)
                own.unlink(missing_ok=True)
                shutil.copy(each, own)
            Path(partial).rename(folder)
        except (OSError, shutil.Error) as error:
            reason = getattr(error, "strerror", None) or "it cannot be copied"
            raise EtcFilesError(f"failed to lay out the image's /etc: {reason}") from error

    def instead(self, plan: PodPlan, rootfs: str, files: Preopen) -> Preopen:
        """Return what a container sees at `/etc`: the folder, where there is one."""
        folder = self._folders.image_etc(plan.uid, rootfs)
        if not os.path.isdir(folder):  # noqa: PTH112 - on the way of every start
            return files
        return Preopen(host_path=folder, guest_path=ETC, read_only=True)


def _has_etc(rootfs: str) -> bool:
    try:
        return bool(os.listdir(f"{rootfs}{ETC}"))  # noqa: PTH208 - as above
    except OSError:
        return False
