"""Serves the logs of containers by credit: which run, where in it, and the next lines.

The cursor is ours to read: run and place. It survives a restart of this supervisor, because all
of it is in the keeper's files.
"""

import asyncio
import time
from typing import Final, NamedTuple, Self

import msgspec

from contract.errors import CommandError
from contract.ids import ContainerName, NodeName, PodUid
from contract.messages.log import MAX_CHUNK_BYTES, LogChunk, LogOpen, LogOpened, LogRead
from wasm_executor.domain.checkpoint import PodRecord
from wasm_executor.domain.container import Container
from wasm_executor.domain.crilines import contents
from wasm_executor.domain.logs import (
    NoLogError,
    has_ended,
    no_container,
    no_pod,
    past_has_ended,
    past_run_to_read,
    run_to_read,
)
from wasm_executor.supervisor.logs.logfiles import (
    START,
    Place,
    has_begun,
    kept_runs,
    place_of_tail,
    read_on,
)
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.podtask import PodTask
from wasm_executor.supervisor.pods.roster import Roster
from wasm_executor.supervisor.pods.runs import NamedPod, RunKey, log_path, pod_log_folder

MAX_WAIT_S: Final = 20.0
LOOK_INTERVAL_S: Final = 0.05
MIN_CHUNK_BYTES: Final = 32 * 1024
"""The longest line that the keeper writes fits."""


class Cursor(NamedTuple):
    """Where a reader is."""

    uid: PodUid
    container: ContainerName
    run: int
    place: Place

    @classmethod
    def parse(cls, text: str) -> Self:
        try:
            uid, container, run, *place = text.split("/")
            return cls(PodUid(uid), ContainerName(container), int(run), Place(*map(int, place)))
        except (ValueError, TypeError) as error:
            raise CommandError(400, "not a cursor of this executor") from error

    def __str__(self) -> str:
        return "/".join(map(str, (self.uid, self.container, self.run, *self.place)))


class Logs:
    """Handlers of `LogOpen` and `LogRead`."""

    def __init__(self, node: Node, roster: Roster) -> None:
        self._node = node
        self._roster = roster

    async def open(self, _node: NodeName, command: LogOpen) -> LogOpened:
        try:
            pod, run = await self._run_wanted(command)
        except NoLogError as refusal:
            raise CommandError(refusal.code, refusal.text) from refusal
        name = ContainerName(command.container)
        log = log_path(self._node.settings.log_root, pod, name, run)
        if not await asyncio.to_thread(has_begun, log):
            text = f'failed to open log file "{log}": open {log}: no such file or directory'
            raise CommandError(400, text)
        place = START
        if command.tail_lines is not None:
            place = await asyncio.to_thread(place_of_tail, log, command.tail_lines)
        cursor = Cursor(pod.uid, name, run, place)
        self._node.log_readers.saw(RunKey(pod.uid, name, run))
        return LogOpened(cursor=str(cursor))

    async def read(self, _node: NodeName, command: LogRead) -> LogChunk:
        cursor = Cursor.parse(command.cursor)
        size = max(MIN_CHUNK_BYTES, min(command.max_bytes, MAX_CHUNK_BYTES))
        give_up_at = time.monotonic() + min(command.wait_s, MAX_WAIT_S)
        run = RunKey(cursor.uid, cursor.container, cursor.run)
        while True:
            lines, chunk = self._chunk(cursor, size)
            if not chunk.end:
                self._node.log_readers.saw(run)
            if lines and command.plain:
                chunk = msgspec.structs.replace(chunk, data=contents(lines), plain=True)
            if chunk.data or chunk.end or (not lines and time.monotonic() >= give_up_at):
                return chunk
            cursor = Cursor.parse(chunk.cursor)
            # Lines that say nothing are passed over, and others have their turn.
            await asyncio.sleep(0 if lines else LOOK_INTERVAL_S)

    def _chunk(self, cursor: Cursor, size: int) -> tuple[bytes, LogChunk]:
        """Return the next lines, in a chunk too."""
        source = self._source(cursor)
        if source is None:
            return b"", LogChunk(cursor=str(cursor), end=True)
        pod, ended = source
        log = log_path(self._node.settings.log_root, pod, cursor.container, cursor.run)
        data, place = read_on(log, cursor.place, size)
        following = cursor._replace(place=place)
        return data, LogChunk(data=data, cursor=str(following), end=ended and not data)

    def _source(self, cursor: Cursor) -> tuple[NamedPod, bool] | None:
        """Return the pod, and whether the run has ended; None where there is no such container.

        Asked before the file is read: an end is told only when the last line is in the file.
        """
        task = self._roster.get(cursor.uid)
        if task is not None:
            container = _find(task, cursor.container)
            running = task.pod.plan
            return None if container is None else (running, has_ended(container, cursor.run))
        record = self._node.checkpoint.records.get(cursor.uid)
        if record is None or all(each.name != cursor.container for each in record.containers):
            return None
        life = self._node.life
        return record, past_has_ended(record, cursor.container, cursor.run, life)

    async def _run_wanted(self, command: LogOpen) -> tuple[NamedPod, int]:
        task = self._roster.named(command.namespace, command.pod)
        if task is not None:
            container = _container_of(task, command.container)
            return task.pod.plan, run_to_read(command.pod, container, previous=command.previous)
        record = self._past_pod_named(command.namespace, command.pod)
        folder = pod_log_folder(self._node.settings.log_root, record) / command.container
        kept = await asyncio.to_thread(kept_runs, folder)
        run = past_run_to_read(record, command.container, kept, previous=command.previous)
        return record, run

    def _past_pod_named(self, namespace: str, name: str) -> PodRecord:
        """Return the youngest pod of this name that an earlier life of this executor ran.

        After a reboot no plan comes for a pod that has ended; its logs stay until it is deleted.
        """
        found = [
            record
            for record in self._node.checkpoint.records.values()
            if (record.namespace, record.name) == (namespace, name)
        ]
        if not found:
            raise no_pod(name)
        return max(found, key=lambda record: record.started_at)


def _find(task: PodTask, name: str) -> Container | None:
    return next((each for each in task.pod.containers if each.plan.name == name), None)


def _container_of(task: PodTask, name: str) -> Container:
    container = _find(task, name)
    if container is None:
        raise no_container(task.pod.plan.name, name)
    return container
