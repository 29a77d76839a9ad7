"""The room that claims have: what the file system of each has and holds, as a kubelet tells of it.

A claim is a folder of the node, and may lie on a file system that does not answer. So each is asked
in a thread of its own, which holds up nobody, the end of this process included; nobody waits long
for it; and it is not asked again before it has answered.
"""

import asyncio
import os
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog

from contract.messages.pod import PodPlan
from contract.messages.usage import FileSystem, FileUsage, VolumeUsage
from contract.messages.volume import HostPath

log = structlog.get_logger()

PATIENCE_S: Final = 1.0

type Answer = os.statvfs_result | None
"""None: it cannot be had. A folder may be gone, or be another user's."""


class _Asked(NamedTuple):
    at: float
    answer: asyncio.Future[Answer]


class ClaimRooms:
    """Remembers who has not answered yet, and nobody else."""

    def __init__(self) -> None:
        self._asked: dict[str, _Asked] = {}

    async def told(self, plans: Iterable[PodPlan]) -> dict[str, os.statvfs_result]:
        """Return what the folders of these pods' claims say, by their path, as far as they answer.

        All are asked at once: patience with many is no more than with one.
        """
        paths = {source.path for plan in plans for _, source in _claims(plan)}
        awaited = {path: asked.answer for path in paths if (asked := self._ask(path)) is not None}
        if not awaited:
            return {}
        done, _ = await asyncio.wait(awaited.values(), timeout=PATIENCE_S)
        answers = {path: each.result() for path, each in awaited.items() if each in done}
        return {path: answer for path, answer in answers.items() if answer is not None}

    def _ask(self, path: str) -> _Asked | None:
        """Return the question under way, a new one where there is none; None: it is overdue."""
        asked, now = self._asked.get(path), time.monotonic()
        if asked is not None:
            return asked if asked.answer.done() or now - asked.at < PATIENCE_S else None
        loop = asyncio.get_running_loop()
        asked = _Asked(now, loop.create_future())
        try:
            threading.Thread(
                target=_look, args=(path, loop, asked.answer), name="claim-room", daemon=True
            ).start()
        except RuntimeError as error:  # there are too many: it is asked the next time
            log.warning("claim.not_measured", reason=str(error))
            return None
        self._asked[path] = asked
        asked.answer.add_done_callback(lambda _: self._asked.pop(path))
        return asked


def claims_of(plan: PodPlan, told: Mapping[str, os.statvfs_result]) -> tuple[VolumeUsage, ...]:
    """Return what a pod's claims use."""
    return tuple(
        _usage(name, source, told[source.path])
        for name, source in _claims(plan)
        if source.path in told
    )


def room_of(found: os.statvfs_result, at: datetime) -> FileSystem:
    """Return the room of a file system."""
    return FileSystem(
        at=at,
        capacity_bytes=found.f_blocks * found.f_frsize,
        available_bytes=found.f_bavail * found.f_frsize,
        inodes=found.f_files,
        inodes_free=found.f_favail,
    )


def _claims(plan: PodPlan) -> list[tuple[str, HostPath]]:
    return [
        (volume.name, volume.source)
        for volume in plan.volumes
        if isinstance(volume.source, HostPath) and volume.source.claim
    ]


def _look(path: str, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Answer]) -> None:
    found: Answer = None
    try:
        found = os.statvfs(path)
    except OSError as error:
        log.info("claim.not_measured", reason=error.strerror)

    def tell() -> None:
        if not answer.done():
            answer.set_result(found)

    with suppress(RuntimeError):  # the loop has ended before this file system answered
        loop.call_soon_threadsafe(tell)


def _usage(name: str, source: HostPath, found: os.statvfs_result) -> VolumeUsage:
    now = datetime.now(UTC)
    used = FileUsage(
        at=now,
        used_bytes=(found.f_blocks - found.f_bfree) * found.f_frsize,
        files=found.f_files - found.f_ffree,
    )
    return VolumeUsage(name=name, files=used, claim=source.claim, room=room_of(found, now))
