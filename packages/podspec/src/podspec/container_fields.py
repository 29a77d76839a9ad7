"""Rows for the containers of a Pod: of every kind the same ones, but for what befalls it."""

from typing import Final

from podspec.life_fields import ephemeral_life_rows, life_rows
from podspec.rows import Row, honoured, ignored, refused
from podspec.security_fields import security_rows
from podspec.volume_fields import mount_rows

_SOCKETS: Final = "an HTTP handler, or a node that lets guests listen (GUEST_SOCKETS)"
_CPU_LIMIT: Final = (
    "processor time is not limited; an HTTP handler has as many workers as this rounds up to"
)

# What the downward API offers to environment variables; volumes know a few more.
ENV_FIELD_PATHS: Final = (
    r"metadata\.(name|namespace|uid)"
    r"|metadata\.(labels|annotations)\['[^']+'\]"
    r"|spec\.(nodeName|serviceAccountName)"
    r"|status\.(hostIP|hostIPs|podIP|podIPs)"
)
ENV_RESOURCES: Final = r"(limits|requests)\.(cpu|memory|ephemeral-storage)"


def _program(path: str) -> tuple[Row, ...]:
    return (
        honoured(f"{path}.name"),
        honoured(f"{path}.image"),
        honoured(f"{path}.imagePullPolicy", pattern="Always|IfNotPresent|Never"),
        honoured(f"{path}.command"),
        honoured(f"{path}.args"),
        # Not every guest's library looks; docs/images.md says which do.
        honoured(f"{path}.workingDir", "as `PWD`, and where the module is looked for"),
    )


def _environment(path: str) -> tuple[Row, ...]:
    return (
        honoured(f"{path}.env[].name"),
        honoured(f"{path}.env[].value"),
        honoured(f"{path}.env[].valueFrom.fieldRef.apiVersion", pattern="v1"),
        honoured(f"{path}.env[].valueFrom.fieldRef.fieldPath", pattern=ENV_FIELD_PATHS),
        honoured(f"{path}.env[].valueFrom.resourceFieldRef.resource", pattern=ENV_RESOURCES),
        honoured(f"{path}.env[].valueFrom.resourceFieldRef.containerName"),
        honoured(f"{path}.env[].valueFrom.resourceFieldRef.divisor"),
        *_object_key(f"{path}.env[].valueFrom.configMapKeyRef"),
        *_object_key(f"{path}.env[].valueFrom.secretKeyRef"),
        *_file_key(f"{path}.env[].valueFrom.fileKeyRef"),
        honoured(f"{path}.envFrom[].prefix"),
        *_object(f"{path}.envFrom[].configMapRef"),
        *_object(f"{path}.envFrom[].secretRef"),
    )


def _object(path: str) -> tuple[Row, ...]:
    return (honoured(f"{path}.name"), honoured(f"{path}.optional"))


def _object_key(path: str) -> tuple[Row, ...]:
    return (*_object(path), honoured(f"{path}.key"))


def _file_key(path: str) -> tuple[Row, ...]:
    return (
        honoured(f"{path}.volumeName"),
        honoured(f"{path}.path"),
        honoured(f"{path}.key"),
        honoured(f"{path}.optional"),
    )


def _resources(path: str) -> tuple[Row, ...]:
    return (
        honoured(f"{path}.resources.limits.memory"),
        ignored(f"{path}.resources.limits.cpu", _CPU_LIMIT),
        ignored(f"{path}.resources.limits.ephemeral-storage", "disk use is not limited yet"),
        refused(f"{path}.resources.limits.*", "this node has no such resource"),
        honoured(f"{path}.resources.requests.memory"),
        honoured(f"{path}.resources.requests.cpu", "by the scheduler"),
        honoured(f"{path}.resources.requests.ephemeral-storage", "by the scheduler"),
        refused(f"{path}.resources.requests.*", "this node has no such resource"),
        refused(f"{path}.resources.claims", "devices are not allocated"),
        ignored(
            f"{path}.resizePolicy[].restartPolicy",
            "resources are not changed in place",
            defaults=("NotRequired",),
        ),
        honoured(f"{path}.resizePolicy[].resourceName"),
    )


def _network(path: str) -> tuple[Row, ...]:
    return (
        # Handlers are served there; for others it is as everywhere: declaring a port opens none.
        honoured(f"{path}.ports[].containerPort", "a declaration", needs=_SOCKETS),
        honoured(f"{path}.ports[].name", "a declaration"),
        honoured(f"{path}.ports[].protocol", "a declaration"),
        # The containerPort itself is no use (see `automatic`); it is kept from other pods.
        refused(f"{path}.ports[].hostPort", "it can only be the containerPort: no port is mapped"),
        refused(f"{path}.ports[].hostIP", "a guest binds what it likes"),
    )


def _streams(path: str) -> tuple[Row, ...]:
    return (
        honoured(f"{path}.stdin"),
        honoured(f"{path}.stdinOnce"),
        # Its stdio are pipes all the same.
        honoured(f"{path}.tty", "who attaches sees a terminal"),
    )


def _common(path: str) -> tuple[Row, ...]:
    """What every kind of container has."""
    return (
        *_program(path),
        *_environment(path),
        *_resources(path),
        *_network(path),
        *_streams(path),
        *mount_rows(path),
        *security_rows(path),
    )


_EPHEMERAL: Final = "spec.ephemeralContainers[]"

CONTAINER_FIELDS: Final[tuple[Row, ...]] = (
    *(
        row
        for path in ("spec.initContainers[]", "spec.containers[]")
        for row in (*_common(path), *life_rows(path))
    ),
    *_common(_EPHEMERAL),
    *ephemeral_life_rows(_EPHEMERAL),
    ignored(f"{_EPHEMERAL}.targetContainerName", "a guest sees no processes"),
)
