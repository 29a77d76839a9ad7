"""How much room logs, volumes and images take: walked in a thread, and far less often than asked.

A kubelet walks its volumes once a minute too. What was found stays in force until the next walk.
"""

import asyncio
import os
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import structlog

from contract.ids import ContainerName, PodUid
from contract.messages.pod import PodPlan
from contract.messages.usage import FileSystem, FileUsage, VolumeUsage
from contract.messages.volume import EmptyDir
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor.pods.runs import pod_log_folder
from wasm_executor.supervisor.usage.claimrooms import room_of
from wasm_executor.volumes.folders import Folders
from wasm_executor.volumes.measuring import BLOCK_BYTES, measure
from wasm_executor.volumes.removing import at_leisure

log = structlog.get_logger()


class PodSpace(NamedTuple):
    """What one pod takes."""

    logs: Mapping[ContainerName, FileUsage] = {}
    volumes: tuple[VolumeUsage, ...] = ()


class Spaces(NamedTuple):
    """What all of them take."""

    file_system: FileSystem
    images: FileUsage
    pods: Mapping[PodUid, PodSpace]


class Surveyor:
    """Remembers the last walk."""

    def __init__(self, settings: ExecutorSettings) -> None:
        self._interval_s = settings.space_interval_s
        self._data_dir = settings.data_dir
        self._log_root = settings.log_root
        self._folders = Folders(settings.data_dir, settings.run_dir)
        self._turn = asyncio.Lock()
        self._last: Spaces | None = None
        self._last_mono = 0.0

    async def surveyed(self, plans: Iterable[PodPlan]) -> Spaces:
        """Return what was found, by a new walk if the last one is too old; of new pods, at once."""
        async with self._turn:
            if self._last is None or time.monotonic() - self._last_mono >= self._interval_s:
                self._last = await self._survey(list(plans))
                self._last_mono = time.monotonic()
                return self._last
            known = self._last.pods
            new = {plan.uid: await self._pod(plan) for plan in plans if plan.uid not in known}
            if new:
                self._last = self._last._replace(pods={**known, **new})
            return self._last

    async def _survey(self, plans: list[PodPlan]) -> Spaces:
        return Spaces(
            file_system=await asyncio.to_thread(_file_system, self._data_dir),
            images=await asyncio.to_thread(_folder, self._data_dir / "images"),
            pods={plan.uid: await self._pod(plan) for plan in plans},
        )

    async def _pod(self, plan: PodPlan) -> PodSpace:
        logs = await asyncio.to_thread(self._logs, plan)
        try:
            return PodSpace(logs=logs, volumes=await self._volumes_of(plan))
        except Exception:  # one pod's: the others are told all the same
            log.exception("volumes.not_measured", pod_uid=plan.uid)
            return PodSpace(logs=logs)

    def _logs(self, plan: PodPlan) -> dict[ContainerName, FileUsage]:
        folder = pod_log_folder(self._log_root, plan)
        return {each.name: _folder(folder / each.name) for each in plan.containers}

    async def _volumes_of(self, plan: PodPlan) -> tuple[VolumeUsage, ...]:
        volumes: list[VolumeUsage] = []
        for volume in plan.volumes:
            if isinstance(volume.source, EmptyDir):
                folder = self._folders.empty_dir(plan.uid, volume.name, volume.source)
                used = await at_leisure(measure, folder)
                files = FileUsage(at=datetime.now(UTC), used_bytes=used.size_bytes)
                volumes.append(
                    VolumeUsage(name=volume.name, in_memory=volume.source.memory, files=files)
                )
        return tuple(volumes)


def _folder(folder: Path) -> FileUsage:
    """Return what the files below a folder of ours take; what goes meanwhile does not count."""
    used_bytes = files = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                used_bytes += os.lstat(f"{parent}/{name}").st_blocks * BLOCK_BYTES
            except OSError:
                continue
            files += 1
    return FileUsage(at=datetime.now(UTC), used_bytes=used_bytes, files=files)


def _file_system(folder: Path) -> FileSystem:
    return room_of(os.statvfs(folder), datetime.now(UTC))
