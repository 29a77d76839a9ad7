"""Pods with volumes on real folders, and guests that look at them through a real keeper."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from keeper_rig import Supervisor

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, PodPlan
from contract.messages.volume import Files, Mount, VolumeFile, VolumePlan, VolumeSource
from wasm_executor.volumes.errors import ContentError
from wasm_executor.volumes.volumes import Volumes

UID = PodUid("uid0")
C = ContainerName("c")


@dataclass
class Blobs:
    """What a reconciler holds."""

    known: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def file(self, path: str, content: bytes, mode: int = 0o644) -> VolumeFile:
        digest = hashlib.sha256(content).hexdigest()
        self.known[digest] = content
        return VolumeFile(path=path, blob=digest, size_bytes=len(content), mode=mode)

    def files(self, **contents: bytes) -> Files:
        """Names with a `__` in them have a `/` there."""
        made = (self.file(path.replace("__", "/"), each) for path, each in contents.items())
        return Files(files=tuple(made))

    async def fetch(self, digest: str) -> bytes:
        self.asked.append(digest)
        if digest not in self.known:
            raise ContentError(f"nobody has the blob {digest[:8]}")
        return self.known[digest]


@dataclass
class VolumeRig:
    """One node's volumes."""

    folder: Path
    blobs: Blobs
    volumes: Volumes

    @property
    def memory(self) -> Path:
        return self.folder / "run" / "volumes"

    @property
    def disk(self) -> Path:
        return self.folder / "data" / "volumes"

    def files_of(self, volume: str, uid: PodUid = UID) -> Path:
        return self.memory / "pods" / uid / "files" / volume

    def empty_dir_of(self, volume: str, uid: PodUid = UID) -> Path:
        return self.disk / "pods" / uid / "empty" / volume


def volume_rig(folder: Path, **options: Any) -> VolumeRig:
    blobs = Blobs()
    volumes = Volumes(folder / "data", folder / "run", blobs.fetch, **options)
    return VolumeRig(folder, blobs, volumes)


def pod(*containers: ContainerPlan, uid: str = UID, **volumes: VolumeSource | None) -> PodPlan:
    return PodPlan(
        uid=PodUid(uid),
        namespace="default",
        name="p",
        containers=containers,
        volumes=tuple(VolumePlan(name=name, source=each) for name, each in volumes.items()),
    )


def container(*mounts: Mount, name: str = C, **of_container: Any) -> ContainerPlan:
    return ContainerPlan(
        name=ContainerName(name), image="registry.example/i:1", mounts=mounts, **of_container
    )


def mount(volume: str, path: str, sub_path: str = "", *, read_only: bool = False) -> Mount:
    return Mount(volume=volume, path=path, sub_path=sub_path, read_only=read_only)


async def ran(
    supervisor: Supervisor, rig: VolumeRig, plan: PodPlan, *arguments: str, **which: Any
) -> tuple[int, str]:
    """Run a guest in one of a pod's containers; return its code and what it wrote."""
    chosen = plan.containers[which.get("of", 0)]
    guest, run = which.get("guest", "volumes"), which.get("run", 0)
    preopens = rig.volumes.preopens(plan, chosen, run)
    process = msgspec.structs.replace(supervisor.plan(guest, *arguments), preopens=preopens)
    spec = supervisor.spec(f"{chosen.name}-{run}-{len(rig.blobs.asked)}-{next(_numbers)}")
    spawned = await supervisor.spawn(spec, process)
    exit_ = await supervisor.next_exit()
    return exit_.code, spawned.content()


_numbers = iter(range(1_000_000))
