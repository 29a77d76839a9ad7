"""Answers what this node and its pods use, page by page."""

import itertools
import os
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from contract.ids import ContainerName, NodeName, PodUid
from contract.messages.node import NodeFacts
from contract.messages.pod import PodPlan
from contract.messages.usage import (
    ContainerUsage,
    Counted,
    FileUsage,
    PodUsage,
    UsageRead,
    UsageShown,
)
from wasm_executor.domain.container import Container
from wasm_executor.domain.states import ALIVE, Phase
from wasm_executor.supervisor.kubeletseries import count_volumes, counted
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.httpplans import forks_of
from wasm_executor.supervisor.pods.podtask import PodTask
from wasm_executor.supervisor.pods.roster import Roster
from wasm_executor.supervisor.pods.runs import RunKey
from wasm_executor.supervisor.usage.claimrooms import ClaimRooms, claims_of
from wasm_executor.supervisor.usage.measuring import Measured, Meter, Running
from wasm_executor.supervisor.usage.network import read_network
from wasm_executor.supervisor.usage.spaces import PodSpace, Spaces, Surveyor

PAGE_PODS: Final = 100
PAGE_CONTAINERS: Final = 400
"""A page has that many at most, but one pod at least: it fits a message of the bus."""
UNREAD: Final = PodSpace()


class UsageDesk:
    """The handler of `UsageRead`. What it remembers lives as long as this supervisor."""

    def __init__(self, node: Node, roster: Roster, facts: NodeFacts) -> None:
        self._roster = roster
        self._facts = facts
        self._meter = Meter(node.settings.usage_interval_s, self._running, self._known)
        self._surveyor = Surveyor(node.settings)
        self._claims = ClaimRooms()

    async def read(self, _node: NodeName, command: UsageRead) -> UsageShown:
        measured = await self._meter.measured()
        plans = [task.pod.plan for task in self._roster]
        spaces = await self._surveyor.surveyed(plans) if command.files else None
        page, after = self._page(command.after)
        rooms = await self._rooms_of_claims(page) if command.files or command.counted else {}
        return UsageShown(
            node=measured.node,
            services=measured.services,
            cpu_millis=self._facts.cpu_millis,
            memory_capacity_bytes=self._facts.memory_bytes,
            file_system=None if spaces is None else spaces.file_system,
            images=None if spaces is None else spaces.images,
            network=read_network(),
            pods=tuple(
                _with_claims(self._pod(task, measured, spaces), task.pod.plan, rooms)
                for task in page
            ),
            after=after,
            counted=self._counted() if command.counted and not after else (),
        )

    def _counted(self) -> tuple[Counted, ...]:
        count_volumes(task.pod for task in self._roster)
        return counted()

    async def _rooms_of_claims(self, page: Iterable[PodTask]) -> dict[str, os.statvfs_result]:
        """Ask those of pods that run: they are mounted."""
        pods = (task.pod for task in page)
        running = (pod for pod in pods if any(each.pid is not None for each in pod.containers))
        return await self._claims.told(pod.plan for pod in running)

    def _known(self) -> set[PodUid]:
        return {task.pod.plan.uid for task in self._roster}

    def _running(self) -> dict[RunKey, Running]:
        return {
            _key(task, each): Running(
                each.pid,
                each.history.started_at or task.started_at,
                forks_of(task.pod.plan, each.plan),
            )
            for task in self._roster
            for each in task.pod.containers
            if each.pid is not None
        }

    def _page(self, after: str) -> tuple[list[PodTask], str]:
        """Return the next pods, and where the page after them begins."""
        tasks = sorted(
            (task for task in self._roster if task.pod.plan.uid > after),
            key=lambda task: task.pod.plan.uid,
        )
        sizes = itertools.accumulate(len(task.pod.containers) for task in tasks)
        fitting = sum(size <= PAGE_CONTAINERS for size in sizes)
        page = tasks[: max(1, min(fitting, PAGE_PODS))]
        return page, page[-1].pod.plan.uid if len(page) < len(tasks) else ""

    def _pod(self, task: PodTask, measured: Measured, spaces: Spaces | None) -> PodUsage:
        plan = task.pod.plan
        space = UNREAD if spaces is None else spaces.pods.get(plan.uid, UNREAD)
        return PodUsage(
            uid=plan.uid,
            namespace=plan.namespace,
            name=plan.name,
            started_at=task.started_at,
            ended_core_nanoseconds=measured.ended.get(plan.uid, 0),
            containers=tuple(
                self._container(task, each, measured, space.logs) for each in task.pod.containers
            ),
            volumes=space.volumes,
        )

    def _container(
        self,
        task: PodTask,
        container: Container,
        measured: Measured,
        logs: Mapping[ContainerName, FileUsage],
    ) -> ContainerUsage:
        plan = container.plan
        return ContainerUsage(
            name=plan.name,
            role=plan.role,
            state=_state(container),
            image=plan.image,
            id=container.history.shown_id,
            usage=measured.containers.get(_key(task, container)),
            memory_limit_bytes=plan.memory_limit_bytes,
            logs=logs.get(plan.name),
            probes=task.probes.of(plan.name),
        )


def _with_claims(pod: PodUsage, plan: PodPlan, rooms: Mapping[str, os.statvfs_result]) -> PodUsage:
    claims = claims_of(plan, rooms)
    return msgspec.structs.replace(pod, volumes=(*pod.volumes, *claims)) if claims else pod


def _key(task: PodTask, container: Container) -> RunKey:
    return RunKey(task.pod.plan.uid, container.plan.name, container.history.run)


def _state(container: Container) -> str:
    if container.phase in ALIVE and container.phase is not Phase.STARTING:
        return "running"
    return "created" if container.history.latest_end is None else "exited"
