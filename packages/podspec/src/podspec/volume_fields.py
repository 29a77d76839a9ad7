"""Rows for the volumes of a Pod: what can be made without a driver of some storage is."""

from typing import Final

from podspec.rows import Row, honoured, ignored, refused

# What the downward API offers to files: environment variables know others.
FILE_FIELD_PATHS: Final = (
    r"metadata\.(name|namespace|uid|labels|annotations)|metadata\.(labels|annotations)\['[^']+'\]"
)
FILE_RESOURCES: Final = r"(limits|requests)\.(cpu|memory|ephemeral-storage)"
_HOST_PATH_TYPES: Final = (
    "|DirectoryOrCreate|Directory|FileOrCreate|File|Socket|CharDevice|BlockDevice"
)
_NO_USERS: Final = "a guest has no users or groups"
_NO_DRIVERS: Final = "this node has no driver of this storage"
_DRIVEN: Final = (
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "iscsi",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
)


def _defaults(path: str) -> tuple[Row, ...]:
    return (honoured(f"{path}.defaultMode"), ignored(f"{path}.defaultUser", _NO_USERS))


def _keyed(path: str, name: str) -> tuple[Row, ...]:
    return (
        honoured(f"{path}.{name}"),
        honoured(f"{path}.optional"),
        honoured(f"{path}.items[].key"),
        honoured(f"{path}.items[].path"),
        honoured(f"{path}.items[].mode"),
        ignored(f"{path}.items[].user", _NO_USERS),
    )


def _downward(path: str) -> tuple[Row, ...]:
    item = f"{path}.items[]"
    return (
        honoured(f"{item}.path"),
        honoured(f"{item}.mode"),
        ignored(f"{item}.user", _NO_USERS),
        honoured(f"{item}.fieldRef.apiVersion", pattern="v1"),
        honoured(f"{item}.fieldRef.fieldPath", pattern=FILE_FIELD_PATHS),
        honoured(f"{item}.resourceFieldRef.resource", pattern=FILE_RESOURCES),
        honoured(f"{item}.resourceFieldRef.containerName"),
        honoured(f"{item}.resourceFieldRef.divisor"),
    )


def _projected(path: str) -> tuple[Row, ...]:
    source = f"{path}.sources[]"
    return (
        *_defaults(path),
        *_keyed(f"{source}.configMap", "name"),
        *_keyed(f"{source}.secret", "name"),
        *_downward(f"{source}.downwardAPI"),
        honoured(f"{source}.serviceAccountToken.path"),
        honoured(f"{source}.serviceAccountToken.audience"),
        honoured(f"{source}.serviceAccountToken.expirationSeconds"),
        ignored(f"{source}.serviceAccountToken.user", _NO_USERS),
        refused(f"{source}.clusterTrustBundle", "trust bundles are not read"),
        refused(f"{source}.podCertificate", "certificates of pods are not asked for"),
    )


_VOLUME: Final = "spec.volumes[]"

VOLUME_FIELDS: Final[tuple[Row, ...]] = (
    honoured(f"{_VOLUME}.name"),
    *_keyed(f"{_VOLUME}.configMap", "name"),
    *_defaults(f"{_VOLUME}.configMap"),
    *_keyed(f"{_VOLUME}.secret", "secretName"),
    *_defaults(f"{_VOLUME}.secret"),
    *_downward(f"{_VOLUME}.downwardAPI"),
    *_defaults(f"{_VOLUME}.downwardAPI"),
    *_projected(f"{_VOLUME}.projected"),
    honoured(f"{_VOLUME}.emptyDir.medium", pattern="|Memory"),
    honoured(f"{_VOLUME}.emptyDir.sizeLimit"),
    refused(f"{_VOLUME}.emptyDir.mode", "modes of folders are not set"),
    honoured(f"{_VOLUME}.hostPath.path", needs="a node that allows it (HOST_PATH_PREFIXES)"),
    honoured(f"{_VOLUME}.hostPath.type", pattern=_HOST_PATH_TYPES),
    honoured(f"{_VOLUME}.persistentVolumeClaim.claimName", "where it is a folder of the node"),
    honoured(f"{_VOLUME}.persistentVolumeClaim.readOnly"),
    honoured(f"{_VOLUME}.image.reference"),
    honoured(f"{_VOLUME}.image.pullPolicy", pattern="Always|IfNotPresent|Never"),
    *(refused(f"{_VOLUME}.{kind}", _NO_DRIVERS) for kind in _DRIVEN),
)


def mount_rows(path: str) -> tuple[Row, ...]:
    """Rows for the mounts of one kind of container."""
    mount = f"{path}.volumeMounts[]"
    return (
        honoured(f"{mount}.name"),
        honoured(f"{mount}.mountPath"),
        honoured(f"{mount}.subPath"),
        honoured(f"{mount}.subPathExpr"),
        honoured(f"{mount}.readOnly"),
        honoured(f"{mount}.recursiveReadOnly", pattern="Disabled|IfPossible"),
        honoured(f"{mount}.mountPropagation", pattern="None"),
        refused(f"{mount}.bindMountOptions", "a mount has no options here"),
        refused(f"{path}.volumeDevices", "block devices are not given to guests"),
    )
