"""Containers on a real keeper and commands in their worlds, without bus and pods."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from keeper_rig import DEADLINE_S, Container, KeeperProcess, Supervisor

from contract.ids import ContainerName, PodUid
from contract.messages.form import Incarnation
from contract.messages.pod import ContainerPlan, PodPlan
from wasm_executor.images.puller import ImageService
from wasm_executor.images.records import ArtifactFacts, ArtifactKind, PreparedImage, World
from wasm_executor.keeper.client import KeeperClient
from wasm_executor.keeper.protocol import EXEC_SUFFIX, ContainerProcess, SpawnSpec
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor.execs.execing import Execs, ExecTarget
from wasm_executor.supervisor.execs.modulefiles import ModuleFiles
from wasm_executor.supervisor.execs.programs import Programs
from wasm_executor.supervisor.execs.toolbox import Toolbox
from wasm_executor.supervisor.identity import Identity
from wasm_executor.supervisor.memory import MemoryWatch
from wasm_executor.supervisor.pods.lastwords import LastWords
from wasm_executor.supervisor.pods.runs import RunKey, log_path
from wasm_executor.supervisor.pods.work import process_plan
from wasm_executor.supervisor.pods.worlds import Worlds
from wasm_executor.volumes.etcfiles import EtcFiles
from wasm_executor.volumes.folders import Folders
from wasm_executor.volumes.imageetc import ImageEtc
from wasm_executor.volumes.volumes import Volumes

C = ContainerName("c")
MEMORY_CHECK_S = 0.02


@dataclass
class RigNode:
    """What execs need of a node."""

    identity: Identity
    tasks: asyncio.TaskGroup
    keeper: KeeperClient
    memory: MemoryWatch


@dataclass
class ExecRig:
    """One supervisor's execs, and what is under them."""

    keeper: KeeperProcess
    supervisor: Supervisor
    settings: ExecutorSettings
    memory: MemoryWatch
    last_words: LastWords
    execs: Execs
    pods: "itertools.count[int]" = field(default_factory=itertools.count)

    def target(self, guest: str, *args: str, **of_container: Any) -> ExecTarget:
        """Return a pod of one container that runs a guest; nothing of it is started."""
        image = f"registry.example/guests/{guest}:1"
        container = ContainerPlan(name=C, image=image, args=args, **of_container)
        uid = PodUid(f"uid{next(self.pods)}")
        plan = PodPlan(uid=uid, namespace="default", name="p", containers=(container,))
        return ExecTarget(plan, container, 0, self._image(image, guest))

    def _image(self, image: str, guest: str) -> PreparedImage:
        artifact = self.supervisor.compiler.artifact(guest)
        facts = ArtifactFacts(
            kind=ArtifactKind(artifact.kind),
            world=World.COMMAND,
            wasm_bytes=0,
            object_bytes=0,
            compile_s=0,
        )
        return PreparedImage(
            image=image,
            image_id=image,
            manifest_digest="",
            layer_digest="",
            aot_path=Path(artifact.path),
            facts=facts,
            size_bytes=0,
        )

    async def start(self, target: ExecTarget) -> Container:
        """Start the container itself, as its pod would."""
        plan, container, run, image = target
        log = log_path(self.settings.log_root, plan, container.name, run)
        spec = SpawnSpec(key=str(RunKey(plan.uid, container.name, run)), log_path=str(log))
        process = process_plan(plan, container, image, sockets=False)
        preopens = self.last_words.prepare(plan.uid, container, run)
        return await self.supervisor.spawn(
            spec, msgspec.structs.replace(process, preopens=preopens)
        )

    async def rows(self) -> list[ContainerProcess]:
        """Return the execs in the keeper's table."""
        async with asyncio.timeout(DEADLINE_S):
            table = await self.supervisor.client.containers()
        return [row for row in table if EXEC_SUFFIX in row.key]

    async def running(self, count: int = 1) -> list[int]:
        """Wait until so many execs run; return their processes."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                pids = [row.pid for row in await self.rows() if row.exit is None]
                if len(pids) == count:
                    return pids
                await asyncio.sleep(0.005)

    async def begun(self) -> None:
        """Wait until the guest of one runs, and look at every turn of the loop."""
        async with asyncio.timeout(DEADLINE_S):
            while not any(one.begun.is_set() for one in self.execs._live.values()):
                await asyncio.sleep(0)

    async def until_gone(self, key: str = "") -> None:
        """Wait until one exec, or any, has left the keeper's table."""
        async with asyncio.timeout(DEADLINE_S):
            while any(key in row.key for row in await self.rows()):
                await asyncio.sleep(0.005)


class Clock:
    """The time of this loop, which a test may let pass at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = asyncio.get_running_loop()
        self._patch = monkeypatch

    async def skip(self, seconds: float) -> None:
        """Let all happen that this loop had to do until then."""
        last = self._loop.create_task(asyncio.sleep(seconds))
        await asyncio.sleep(0)  # it is the last of these timers
        began = self._loop.time() - time.monotonic()
        self._patch.setattr(self._loop, "time", lambda: time.monotonic() + began + seconds)
        await last


async def _no_blobs(digest: str) -> bytes:
    raise AssertionError(digest)


@asynccontextmanager
async def exec_rig(keeper: KeeperProcess, supervisor: Supervisor) -> AsyncIterator[ExecRig]:
    """Be the part of a supervisor that runs commands."""
    settings = ExecutorSettings(
        node_name="n",
        data_dir=keeper.folder / "data",
        run_dir=keeper.folder / "run",
        log_root=keeper.folder / "logs",
    )
    incarnation = Incarnation(
        executor_id=supervisor.executor_id, start_count=supervisor.start_count
    )
    identity = Identity(incarnation=incarnation, epoch=supervisor.epoch, keeper_fd=-1)
    memory = MemoryWatch(keeper.pid)
    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(memory.look_often(MEMORY_CHECK_S))
        node = RigNode(identity, tasks, supervisor.client, memory)
        volumes = Volumes(settings.data_dir, settings.run_dir, _no_blobs)
        words = LastWords(settings, volumes)
        folders = Folders(settings.data_dir, settings.run_dir)
        etc_files = EtcFiles(folders, settings.resolv_conf)
        image_etc = ImageEtc(folders)
        prepared: asyncio.Future[ImageService] = asyncio.get_running_loop().create_future()
        programs = Programs(Toolbox(None, prepared), ModuleFiles(prepared))
        execs = Execs(node, Worlds(words, volumes, etc_files, image_etc), programs, sockets=False)
        yield ExecRig(keeper, supervisor, settings, memory, words, execs)
        for left in execs._live.values():
            left.kill()
        looking.cancel()
