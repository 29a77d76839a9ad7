"""Does what a pod wants done, and brings the pod what came of it.

Work that takes time is a task per container. It ends with one input for the pod, whatever goes
wrong in it.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine

import structlog

from contract.ids import ContainerName
from servicekit.tracing import step
from wasm_executor.domain.effects import (
    AbandonHook,
    AbandonImage,
    AbandonRun,
    AbandonStart,
    CloseStdin,
    DropVolumes,
    Effect,
    ForgetRun,
    PlaceDrainFile,
    PrepareImage,
    PrepareVolumes,
    RunHook,
    RunProbe,
    SignalRun,
    StartRun,
)
from wasm_executor.domain.inputs import (
    ImagePrepared,
    Input,
    MemoryExceeded,
    PreparationFailed,
    RunStarted,
    VolumesPrepared,
)
from wasm_executor.domain.pod import Pod
from wasm_executor.images.records import PreparedImage
from wasm_executor.supervisor import kubeletseries
from wasm_executor.supervisor.execs.execing import Execs
from wasm_executor.supervisor.logs.logfiles import drop_runs_before
from wasm_executor.supervisor.memory import Watched
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.checks import Checks
from wasm_executor.supervisor.pods.httpplans import forks_of
from wasm_executor.supervisor.pods.runends import RunEnds
from wasm_executor.supervisor.pods.runs import RunKey, container_of, pod_log_folder
from wasm_executor.supervisor.pods.starting import RunStart
from wasm_executor.supervisor.pods.work import (
    Tell,
    broken,
    dns_warning,
    have_volumes,
    image_of_run,
    prepare_image,
)

log = structlog.get_logger()

type Attended = PrepareVolumes | DropVolumes | RunProbe | RunHook | AbandonHook


class Hands:
    """One pod's."""

    def __init__(
        self, node: Node, execs: Execs, pod: Pod, put: Callable[[Input], None], tell: Tell
    ) -> None:
        self._node = node
        self._pod = pod
        self._put = put
        self._tell = tell
        self._images: dict[ContainerName, PreparedImage] = {}
        self._work: dict[ContainerName, asyncio.Task[None]] = {}
        self._starts: dict[ContainerName, RunStart] = {}
        self._mounting: list[asyncio.Task[None]] = []
        self._checks = Checks(node, execs, pod, put, self._image_of)
        self._ends = RunEnds(node, pod, put, self._checks, self._image_of)

    def drop_all(self) -> None:
        """Nobody waits for anything any more."""
        for work in (*self._work.values(), *self._mounting):
            work.cancel()
        self._checks.drop_all()

    async def do(self, effect: Effect) -> None:
        match effect:
            case PrepareImage():
                self._begin(effect, self._prepare(effect))
            case StartRun():
                self._begin(effect, self._start(effect, self._new_start(effect)))
            case AbandonImage():
                self._work.pop(effect.container).cancel()
            case AbandonStart():
                await self._starts[effect.container].abandon()
            case AbandonRun():
                await self._ends.abandon(effect)
            case PrepareVolumes() | DropVolumes() | RunProbe() | RunHook() | AbandonHook():
                self._attend(effect)
            case SignalRun() | CloseStdin() | PlaceDrainFile() | ForgetRun():
                await self._ends.tell(effect)

    def _attend(self, effect: Attended) -> None:
        match effect:
            case PrepareVolumes():
                self._prepare_volumes(effect)
            case DropVolumes():
                self._drop_volumes()
            case RunProbe():
                self._checks.probe(effect)
            case RunHook():
                self._checks.hook(effect)
            case AbandonHook():
                self._checks.abandon_hook(effect.container)

    def _begin(self, want: PrepareImage | StartRun, work: Coroutine[None, None, Input]) -> None:
        name = f"pod-{self._pod.plan.uid}-{want.container}"
        task = self._node.tasks.create_task(self._see(want, work), name=name)
        task.add_done_callback(lambda _task: work.close())  # abandoned before its first step
        self._work[want.container] = task

    async def _see(self, want: PrepareImage | StartRun, work: Coroutine[None, None, Input]) -> None:
        """Bring the pod what came of it; a failure of this program is a state like any other."""
        try:
            outcome = await work
        except Exception as error:
            log.exception("container.work_failed", container=want.container)
            outcome = broken(want.container, want.attempt, error)
        self._put(outcome)

    async def _prepare(self, want: PrepareImage) -> Input:
        container, pull = (
            container_of(self._pod.plan, want.container),
            kubeletseries.Pull(self._tell),
        )
        with step("image.prepare", {"k8s.container.name": want.container}) as span:
            outcome = await prepare_image(self._node, self._pod.plan, container, want, pull.tell)
            if isinstance(outcome, PreparationFailed):
                span.failed(outcome.reason)
        pull.end(failed=not isinstance(outcome, PreparedImage))
        if not isinstance(outcome, PreparedImage):
            return outcome
        self._images[want.container] = outcome
        image_id, mounted = outcome.image_id, outcome.mounted
        return ImagePrepared(
            container=want.container, attempt=want.attempt, image_id=image_id, mounted=mounted
        )

    def _new_start(self, want: StartRun) -> RunStart:
        start = RunStart(
            self._node,
            self._pod.plan,
            container_of(self._pod.plan, want.container),
            want,
            self._images[want.container],
            on_pid=lambda pid: self.watch_memory(want.container, want.run, pid),
        )
        self._starts[want.container] = start
        return start

    async def _start(self, want: StartRun, start: RunStart) -> Input:
        """The process is watched from its first moment on: no code of a guest goes unseen."""
        with kubeletseries.operation("start_container") as failed:
            outcome = await start.outcome()
            if not isinstance(outcome, RunStarted):
                failed()
        for warning in start.warnings:
            self._tell(dns_warning(warning))
        if isinstance(outcome, RunStarted):
            await self._drop_old_logs(want.container, outcome.run)
        else:
            self._node.memory.unwatch(self._key(want.container, want.run))
        return outcome

    async def _drop_old_logs(self, container: ContainerName, run: int) -> None:
        """Keep the logs of this run and of the one before it, as a kubelet keeps one dead run."""
        if run <= 1:
            return  # on the way of every pod
        node, plan = self._node, self._pod.plan
        folder = pod_log_folder(node.settings.log_root, plan) / container
        being_read = node.log_readers.of(plan.uid, container)
        try:
            await asyncio.to_thread(drop_runs_before, folder, run - 1, but=being_read)
        except Exception:  # no thread can be had: the start has not failed, and the next one tries
            log.exception("logs.not_dropped", container=container)

    def watch_memory(self, container: ContainerName, run: int, pid: int) -> None:
        """Hold a container's process to its limit, if it has one, and to what all have."""
        plan = container_of(self._pod.plan, container)
        limit = plan.memory_limit_bytes
        exceeded = MemoryExceeded(container=container, run=run)
        key = self._key(container, run)
        forks = forks_of(self._pod.plan, plan)
        watched = Watched(pid, limit, lambda: self._put(exceeded), forks=forks)
        self._node.memory.watch(key, watched)

    def _key(self, container: ContainerName, run: int) -> str:
        return str(RunKey(self._pod.plan.uid, container, run))

    def _prepare_volumes(self, want: PrepareVolumes) -> None:
        """Bring the volumes to the plan in force; a task is over soon, so the last two are kept."""
        name = f"volumes-{self._pod.plan.uid}"
        task = self._node.tasks.create_task(self._have_volumes(want), name=name)
        self._mounting = [*self._mounting[-1:], task]

    async def _have_volumes(self, want: PrepareVolumes) -> None:
        plan, began = self._pod.plan, time.monotonic()
        with step("volumes.make") as span:
            outcome = await have_volumes(self._node.volumes, plan, want)
            if failed := not isinstance(outcome, VolumesPrepared):
                span.failed("FailedMount")
        kubeletseries.mounted(plan.volumes, time.monotonic() - began, failed=failed)
        self._put(outcome)

    def _drop_volumes(self) -> None:
        """It takes its turn behind what still makes volumes, and before whoever buries the pod."""
        uid = self._pod.plan.uid
        self._node.tasks.create_task(self._node.volumes.drop(uid), name=f"drop-volumes-{uid}")

    async def _image_of(self, container: ContainerName) -> PreparedImage:
        """Return what a container's current run is made of."""
        known = self._images.get(container)
        if known is None:
            of = next(each for each in self._pod.containers if each.plan.name == container)
            known = self._images[container] = await image_of_run(self._node, self._pod.plan, of)
        return known
