"""Serves the logs of containers by credit: which run, where in it, and the next lines.

The cursor is ours to read: run and place. It survives a restart of this supervisor, because all
of it is in the keeper's files.
"""

import asyncio
import time
from typing import Final, NamedTuple, Self

from contract.errors import CommandError
from contract.ids import ContainerName, NodeName, PodUid
from contract.messages.log import MAX_CHUNK_BYTES, LogChunk, LogOpen, LogOpened, LogRead
from wasm_executor.domain.container import Container
from wasm_executor.domain.logs import NoLogError, has_ended, no_container, no_pod, run_to_read
from wasm_executor.supervisor.logfiles import START, Place, place_of_tail, read_on
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.podtask import PodTask
from wasm_executor.supervisor.roster import Roster
from wasm_executor.supervisor.runs import log_path

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
            uid, container, run, inode, offset = text.split("/")
            place = Place(int(inode), int(offset))
            return cls(PodUid(uid), ContainerName(container), int(run), place)
        except ValueError as error:
            raise CommandError(400, "not a cursor of this executor") from error

    def __str__(self) -> str:
        return f"{self.uid}/{self.container}/{self.run}/{self.place.inode}/{self.place.offset}"


class Logs:
    """Handlers of `LogOpen` and `LogRead`."""

    def __init__(self, node: Node, roster: Roster) -> None:
        self._node = node
        self._roster = roster

    async def open(self, _node: NodeName, command: LogOpen) -> LogOpened:
        try:
            task = self._pod_named(command.namespace, command.pod)
            container = _container_of(task, command.container)
            run = run_to_read(command.pod, container, previous=command.previous)
        except NoLogError as refusal:
            raise CommandError(refusal.code, refusal.text) from refusal
        name = container.plan.name
        log = log_path(self._node.settings.log_root, task.pod.plan, name, run)
        if not await asyncio.to_thread(log.exists):
            text = f'failed to open log file "{log}": open {log}: no such file or directory'
            raise CommandError(400, text)
        place = START
        if command.tail_lines is not None:
            place = await asyncio.to_thread(place_of_tail, log, command.tail_lines)
        cursor = Cursor(task.pod.plan.uid, name, run, place)
        return LogOpened(cursor=str(cursor))

    async def read(self, _node: NodeName, command: LogRead) -> LogChunk:
        cursor = Cursor.parse(command.cursor)
        size = max(MIN_CHUNK_BYTES, min(command.max_bytes, MAX_CHUNK_BYTES))
        give_up_at = time.monotonic() + min(command.wait_s, MAX_WAIT_S)
        while True:
            chunk = self._chunk(cursor, size)
            if chunk.data or chunk.end or time.monotonic() >= give_up_at:
                return chunk
            await asyncio.sleep(LOOK_INTERVAL_S)

    def _chunk(self, cursor: Cursor, size: int) -> LogChunk:
        task = self._roster.get(cursor.uid)
        container = None if task is None else _find(task, cursor.container)
        if task is None or container is None:
            return LogChunk(cursor=str(cursor), end=True)
        # Asked first: an end is told only when the last line is in the file.
        ended = has_ended(container, cursor.run)
        log = log_path(self._node.settings.log_root, task.pod.plan, cursor.container, cursor.run)
        data, place = read_on(log, cursor.place, size)
        following = cursor._replace(place=place)
        return LogChunk(data=data, cursor=str(following), end=ended and not data)

    def _pod_named(self, namespace: str, name: str) -> PodTask:
        """Return the youngest pod of this name: an older one of another UID may still be ending."""
        found = [
            task
            for task in self._roster
            if (task.pod.plan.namespace, task.pod.plan.name) == (namespace, name)
        ]
        if not found:
            raise no_pod(name)
        return max(found, key=lambda task: task.started_at)


def _find(task: PodTask, name: str) -> Container | None:
    return next((each for each in task.pod.containers if each.plan.name == name), None)


def _container_of(task: PodTask, name: str) -> Container:
    container = _find(task, name)
    if container is None:
        raise no_container(task.pod.plan.name, name)
    return container
