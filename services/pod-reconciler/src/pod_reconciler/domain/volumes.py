"""A pod's volumes as its node makes them, and their mounts as its containers see them.

What files hold is named by digest; the contents go beside the plan, to the nodes that ask for them.
A volume that no container mounts is neither made nor read for.
"""

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from contract.messages.volume import (
    EmptyDir,
    Files,
    HostPath,
    ImageVolume,
    Mount,
    VolumeFile,
    VolumePlan,
)
from pod_reconciler.domain.container import Container
from pod_reconciler.domain.contents import File, files_of
from pod_reconciler.domain.expansion import expand, names_in
from pod_reconciler.domain.material import HostVolume, Lack
from pod_reconciler.domain.pod import Pod
from pod_reconciler.domain.pulling import default_pull_policy
from pod_reconciler.domain.surroundings import Surroundings
from pod_reconciler.domain.volume import EmptyDirSource, Volume, VolumeMount
from pod_reconciler.errors import ContainerConfigError, PlanError
from podspec.errors import QuantityError
from podspec.quantity import parse_quantity, whole_units

_MEMORY: Final = "Memory"

type _Blobs = dict[str, bytes]


class Volumes(NamedTuple):
    """The plans of a pod's volumes, and the contents of their files by digest."""

    plans: tuple[VolumePlan, ...]
    blobs: dict[str, bytes]
    own: tuple[bytes, ...] = ()
    """Those of them that are about this pod, so that no other has them."""


def volumes_of(pod: Pod, around: Surroundings) -> Volumes:
    """Plan the volumes that are mounted; raises `PlanError`."""
    blobs: dict[str, bytes] = {}
    own: dict[str, bytes] = {}
    mounted = pod.spec.mounted_volumes()
    plans = tuple(
        _plan(volume, f"spec.volumes[{index}]", pod, around, (blobs, own))
        for index, volume in enumerate(pod.spec.volumes)
        if volume.name in mounted
    )
    return Volumes(plans, blobs, tuple(own.values()))


def mounts_of(
    container: Container, path: str, pod: Pod, environment: Mapping[str, str]
) -> tuple[Mount, ...]:
    """Raises `ContainerConfigError` for a part that cannot be named, `PlanError` for a fault."""
    volumes = {volume.name: volume for volume in pod.spec.volumes}
    mounts: dict[str, Mount] = {}
    for index, mount in enumerate(container.volume_mounts):
        where = f"{path}.volumeMounts[{index}]"
        target = _target(mount, where)
        if target in mounts:
            raise PlanError(f"{where}.mountPath", f"must be unique: {mount.mount_path!r}")
        if mount.name not in volumes:
            raise PlanError(f"{where}.name", f"there is no volume {mount.name!r}")
        claim = volumes[mount.name].persistent_volume_claim
        mounts[target] = Mount(
            volume=mount.name,
            path=target,
            sub_path=_sub_path(mount, environment),
            read_only=mount.read_only or (claim is not None and claim.read_only),
        )
    return tuple(mounts.values())


def _plan(
    volume: Volume, path: str, pod: Pod, around: Surroundings, into: tuple[_Blobs, _Blobs]
) -> VolumePlan:
    name = volume.name
    if volume.default_mode is not None:
        files = files_of(volume, path, pod, around)
        if isinstance(files, Lack):
            return VolumePlan(name=name, missing=files.problem)
        return VolumePlan(name=name, source=Files(files=tuple(_filed(files, *into))))
    if volume.host_path is not None:
        source = HostPath(path=volume.host_path.path, path_type=volume.host_path.type)
        return VolumePlan(name=name, source=source)
    if volume.image is not None:
        reference = volume.image.reference
        policy = volume.image.pull_policy or default_pull_policy(reference)
        return VolumePlan(name=name, source=ImageVolume(image=reference, pull_policy=policy))
    if volume.persistent_volume_claim is not None:
        return _claimed(name, volume.persistent_volume_claim.claim_name, around)
    return VolumePlan(name=name, source=_empty(volume.empty_dir or EmptyDirSource(), path))


def _filed(files: Mapping[str, File], blobs: _Blobs, own: _Blobs) -> Iterator[VolumeFile]:
    for path, file in files.items():
        digest = hashlib.sha256(file.data).hexdigest()
        blobs[digest] = file.data
        if file.is_own:
            own[digest] = file.data
        yield VolumeFile(path=path, blob=digest, size_bytes=len(file.data), mode=file.mode)


def _claimed(name: str, claim: str, around: Surroundings) -> VolumePlan:
    found = around.material.claims.get(claim, Lack(problem=f"PVC {claim} has not been read yet"))
    if isinstance(found, HostVolume):
        source = HostPath(path=found.path, path_type=found.path_type, claim=claim)
        return VolumePlan(name=name, source=source)
    return VolumePlan(name=name, missing=found.problem)


def _empty(source: EmptyDirSource, path: str) -> EmptyDir:
    limit = None
    try:
        if source.size_limit is not None:
            # A limit of nothing is none, as everywhere in Kubernetes.
            limit = whole_units(parse_quantity(source.size_limit)) or None
    except QuantityError as error:
        raise PlanError(f"{path}.emptyDir.sizeLimit", str(error)) from error
    return EmptyDir(memory=source.medium == _MEMORY, size_limit_bytes=limit)


def _target(mount: VolumeMount, where: str) -> str:
    if not mount.mount_path:
        raise PlanError(f"{where}.mountPath", "Required value")
    if ":" in mount.mount_path or "\0" in mount.mount_path:
        raise PlanError(f"{where}.mountPath", "must not contain ':'")
    return posixpath.normpath(f"/{mount.mount_path.lstrip('/')}")


def _sub_path(mount: VolumeMount, environment: Mapping[str, str]) -> str:
    path = mount.sub_path
    if mount.sub_path_expr:
        lacking = sorted({n for n in names_in(mount.sub_path_expr) if not environment.get(n)})
        if lacking:
            raise ContainerConfigError(f"missing value for {', '.join(lacking)}")
        path = expand(mount.sub_path_expr, environment)
    if path.startswith("/"):
        raise ContainerConfigError(f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise ContainerConfigError(f"unable to provision SubPath `{path}`: must not contain '..'")
    return path
