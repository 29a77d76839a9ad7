"""Which folder an image volume of a pod is: where its image's files were when they were last had.

They are had again for each start of a container that mounts them, as a kubelet does, so this needs
no disk: what a run was shown is written down with its other mounts.
"""

from contract.ids import PodUid


class ImageFolders:
    """Those of one node's pods."""

    def __init__(self) -> None:
        self._folders: dict[PodUid, dict[str, str]] = {}

    def put(self, uid: PodUid, volume: str, folder: str) -> None:
        self._folders.setdefault(uid, {})[volume] = folder

    def find(self, uid: PodUid, volume: str) -> str | None:
        return self._folders.get(uid, {}).get(volume)

    def drop(self, uid: PodUid) -> None:
        self._folders.pop(uid, None)
