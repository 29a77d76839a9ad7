"""Why a container does not get its volumes, in the words of a kubelet's events."""

from wasm_executor.errors import ExecutorError


class VolumeError(ExecutorError):
    """Base: something about one volume. Try again later, as a kubelet does."""

    def __init__(self, volume: str, message: str) -> None:
        self.volume = volume
        self.message = message
        super().__init__(message)


class MountError(VolumeError):
    """A volume cannot be made: the event FailedMount, and the pod waits."""

    def __init__(self, volume: str, reason: str) -> None:
        self.reason = reason
        super().__init__(volume, f'MountVolume.SetUp failed for volume "{volume}" : {reason}')


class ContainerMountError(VolumeError):
    """A container cannot see a volume as it wants: CreateContainerConfigError, and it waits."""


class ImageMountError(ContainerMountError):
    """An image has not what a container mounts of it: CreateContainerError, as a runtime says."""

    def __init__(self, volume: str, reason: str) -> None:
        super().__init__(volume, f"ImageVolumeMountFailed: {reason}")


class ContentError(ExecutorError):
    """A blob cannot be had, or is not what its digest says; a reason of `MountError`."""
