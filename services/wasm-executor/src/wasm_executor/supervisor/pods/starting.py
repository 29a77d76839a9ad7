"""Brings one run to its guest, or says why there is none.

The pod may end meanwhile. Then the run's process is killed as soon as it is known, and no other
is asked for: a start is never what keeps a pod alive.
"""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
import structlog

from contract.messages.pod import ContainerPlan, Drain, PodPlan
from servicekit.tracing import step
from wasm_executor.container.plan import ProcessPlan, StartFailureReason
from wasm_executor.domain.effects import StartRun
from wasm_executor.domain.inputs import Input, RunRefused, RunStarted
from wasm_executor.images.records import PreparedImage
from wasm_executor.keeper.client import Spawned
from wasm_executor.keeper.errors import (
    KeeperError,
    SpawnFailedError,
    StartFailedError,
    UnknownContainerError,
)
from wasm_executor.keeper.protocol import SpawnSpec
from wasm_executor.supervisor import metrics
from wasm_executor.supervisor.externals import RUNTIME, ExternalError
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.httpplans import with_node_hosts
from wasm_executor.supervisor.pods.ports import PortNotBoundError, listening
from wasm_executor.supervisor.pods.runs import RunKey, log_path
from wasm_executor.supervisor.pods.work import misconfigured, not_created, process_plan
from wasm_executor.volumes.errors import ContainerMountError, ImageMountError
from wasm_executor.volumes.etcfiles import EtcFilesError

log = structlog.get_logger()

RETRY_DELAYS_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""A zygote that was killed is back within a moment."""


class RunStart:
    """One run, from the wish to its guest's first instruction."""

    def __init__(
        self,
        node: Node,
        plan: PodPlan,
        container: ContainerPlan,
        want: StartRun,
        image: PreparedImage,
        on_pid: Callable[[int], None],
    ) -> None:
        self._node = node
        self._container = container
        self._want = want
        self._image = image
        self._on_pid = on_pid
        settings = node.settings
        self._plan = plan
        self._spec = SpawnSpec(
            key=str(RunKey(plan.uid, container.name, want.run)),
            log_path=str(log_path(settings.log_root, plan, container.name, want.run)),
            log_max_bytes=settings.log_max_bytes,
            log_max_files=settings.log_max_files,
            hold_stdin=container.stdin or plan.drain is Drain.STDIN_EOF,
        )
        self.warnings: tuple[str, ...] = ()
        """What the pod cannot have of its resolver's settings: an Event each."""
        self._abandoned = False
        self._decided = False

    async def outcome(self) -> Input:
        """Spawn the container and return what came of it."""
        name, began = self._container.name, time.monotonic()
        told = {"k8s.container.name": name}
        try:
            with step("container.create", told):
                process = await self._make_world()
            with step("container.start", told):
                spawned = await self._spawn_patiently(process)
        except ImageMountError as error:
            return not_created(name, self._want.attempt, error.message)
        except ContainerMountError as error:
            return misconfigured(name, self._want.attempt, error.message)
        except EtcFilesError as error:
            return misconfigured(name, self._want.attempt, str(error))
        except StartFailedError as error:
            return await self._refused(error)
        except (KeeperError, PortNotBoundError, ExternalError) as error:
            return not_created(name, self._want.attempt, str(error))
        finally:
            self._decided = True
        metrics.STARTED.inc()
        metrics.START_SECONDS.observe(time.monotonic() - began)
        return RunStarted(
            container=name, run=self._want.run, pid=spawned.pid, at=spawned.started_at
        )

    async def abandon(self) -> None:
        """Make an end of it, unless the guest runs: that is the pod's to stop, in its own time."""
        self._abandoned = True
        if not self._decided:
            log.info("start.abandoned", key=self._spec.key)
            await self._kill()

    async def _make_world(self) -> ProcessPlan:
        worlds, run = self._node.worlds, self._want.run
        world = await worlds.make(self._plan, self._container, run, self._image.rootfs)
        self.warnings = world.warnings
        sockets = self._node.settings.guest_sockets
        process = process_plan(self._plan, world.container, self._image, sockets=sockets)
        process = self._with_program(process, world.container)
        http = with_node_hosts(process.http, self._node.settings.outgoing_hosts)
        return msgspec.structs.replace(process, preopens=world.preopens, http=http)

    def _with_program(self, process: ProcessPlan, container: ContainerPlan) -> ProcessPlan:
        """Put in the machine's runtime program, if the pod asks for one."""
        found = self._node.externals.get(self._plan.runtime_handler)
        if found is None:
            return process
        sockets = self._node.settings.guest_sockets
        external = found.for_container(container, process.artifact.kind, sockets=sockets)
        path = str(self._image.wasm_path)
        artifact = msgspec.structs.replace(process.artifact, path=path)
        return msgspec.structs.replace(
            process, runtime=RUNTIME, artifact=artifact, external=external, http=None
        )

    async def _kill(self) -> None:
        with suppress(UnknownContainerError):
            await self._node.keeper.signal(self._spec.key, signal.SIGKILL)

    async def _spawn_patiently(self, process: ProcessPlan) -> Spawned:
        for delay_s in RETRY_DELAYS_S:
            try:
                return await self._spawn(process)
            except (SpawnFailedError, PortNotBoundError) as error:
                if self._abandoned:
                    raise
                reason = str(error)
                log.warning("spawn.failed", key=self._spec.key, reason=reason, retry_in_s=delay_s)
            await asyncio.sleep(delay_s)
        return await self._spawn(process)

    async def _spawn(self, process: ProcessPlan) -> Spawned:
        if self._abandoned:
            raise SpawnFailedError("the pod ends")
        keeper = self._node.keeper
        if process.http is None:
            return await keeper.spawn(self._spec, process, self._spawned)
        with listening(self._container.ports, self._plan.pod_ip) as listeners:
            return await keeper.spawn(self._spec, process, self._spawned, listeners=listeners)

    async def _spawned(self, spawned: Spawned) -> None:
        self._on_pid(spawned.pid)
        if self._abandoned:
            await self._kill()

    async def _refused(self, error: StartFailedError) -> Input:
        if error.reason is StartFailureReason.ARTIFACT_UNUSABLE:
            # Compiled by another engine, or damaged: the next attempt compiles it again.
            await (await self._node.images).forget_compiled(self._image)
            return not_created(self._container.name, self._want.attempt, error.message)
        metrics.REFUSED.inc()
        return RunRefused(container=self._container.name, run=self._want.run, message=error.message)
