"""One pod's probes and hooks under way. Each ends with one input for the pod, whatever goes wrong.

What needs a network goes through the event loop; an exec is a process beside the container's. Of
each kind a container has one at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

import structlog

from contract.ids import ContainerName
from contract.messages.health import Exec, Hook, HttpGet, ProbeAction, Sleep
from wasm_executor.checking.checks import ATTEMPTS, check, not_own
from wasm_executor.checking.finding import Finding, failure
from wasm_executor.checking.hooking import (
    call_hook,
    exec_exited,
    exec_hook_failed,
    http_hook_failed,
)
from wasm_executor.checking.wording import exec_timed_out
from wasm_executor.domain.checks import HookKind, ProbeKind, Verdict
from wasm_executor.domain.effects import RunHook, RunProbe
from wasm_executor.domain.inputs import HookFinished, Input, ProbeFinished
from wasm_executor.domain.pod import Pod
from wasm_executor.images.errors import ImageError
from wasm_executor.images.records import PreparedImage
from wasm_executor.supervisor.execs.execing import Execs, ExecTarget
from wasm_executor.supervisor.node import Node

log = structlog.get_logger()

type ImageOf = Callable[[ContainerName], Awaitable[PreparedImage]]

NO_HANDLER: Final = "Cannot run handler: invalid handler: tcpSocket"
"""What the kubelet makes of a hook that old objects may still have."""

NO_PORT: Final = "no port of this name"
"""The plan has 0 where a probe or hook names a port that its container does not have."""


class Checks:
    """Runs what a pod wants asked or called."""

    def __init__(
        self, node: Node, execs: Execs, pod: Pod, put: Callable[[Input], None], image_of: ImageOf
    ) -> None:
        self._node = node
        self._execs = execs
        self._pod = pod
        self._put = put
        self._image_of = image_of
        self._under_way: dict[tuple[ContainerName, ProbeKind | HookKind], asyncio.Task[None]] = {}

    def probe(self, want: RunProbe) -> None:
        self._begin(want.container, want.kind, self._probe(want))

    def hook(self, want: RunHook) -> None:
        self._begin(want.container, want.kind, self._hook(want))

    def abandon_hook(self, container: ContainerName) -> None:
        """Let nobody wait for a hook any more; a process of it is killed."""
        for kind in HookKind:
            self._cancel(container, kind)

    def end(self, container: ContainerName) -> None:
        """A run is over: end all that was asked of it, and what was run beside it."""
        for kind in (*HookKind, *ProbeKind):
            self._cancel(container, kind)
        self._execs.end_all(self._pod.plan.uid, container)

    def drop_all(self) -> None:
        for task in self._under_way.values():
            task.cancel()
        self._execs.end_all(self._pod.plan.uid)

    def _cancel(self, container: ContainerName, kind: ProbeKind | HookKind) -> None:
        task = self._under_way.pop((container, kind), None)
        if task is not None:
            task.cancel()

    def _begin(
        self,
        container: ContainerName,
        kind: ProbeKind | HookKind,
        work: Coroutine[None, None, Input],
    ) -> None:
        name = f"{kind}-{self._pod.plan.uid}-{container}"
        task = self._node.tasks.create_task(self._bring(work), name=name)
        self._under_way[container, kind] = task

    async def _bring(self, work: Coroutine[None, None, Input]) -> None:
        self._put(await work)

    # Probes

    async def _probe(self, want: RunProbe) -> Input:
        try:
            finding = await self._found(want)
        except Exception as error:  # a failure of this program says nothing of the container
            log.exception("probe.broke", container=want.container, probe=want.kind)
            finding = Finding(verdict=Verdict.UNKNOWN, output=f"internal error: {error!r}")
        return ProbeFinished(
            container=want.container,
            run=want.run,
            kind=want.kind,
            verdict=finding.verdict,
            output=finding.output,
            warning=finding.warning,
            state=finding.state,
        )

    async def _found(self, want: RunProbe) -> Finding:
        action: ProbeAction = want.probe.action
        if isinstance(action, Exec):
            return await self._found_by_exec(want, action)
        if action.port == 0:
            return Finding(verdict=Verdict.UNKNOWN, output=NO_PORT)
        pod_ip = self._pod.plan.pod_ip
        pids = [each.pid for each in self._pod.containers if each.pid is not None]
        foreign = not_own(action, pod_ip, pids, self._node.socket_holders)
        return foreign or await check(action, pod_ip, want.probe.timeout_s)

    async def _found_by_exec(self, want: RunProbe, action: Exec) -> Finding:
        for _ in range(ATTEMPTS - 1):
            finding = await self._exec_once(want, action)
            if finding.verdict is not Verdict.UNKNOWN:
                return finding
        return await self._exec_once(want, action)

    async def _exec_once(self, want: RunProbe, action: Exec) -> Finding:
        try:
            target = await self._target(want.container, want.run)
        except ImageError as error:
            return Finding(verdict=Verdict.UNKNOWN, output=error.message)
        result = await self._execs.output_of(target, action.command, want.probe.timeout_s)
        outcome = result.outcome
        if outcome.failure is not None:
            return Finding(verdict=Verdict.UNKNOWN, output=outcome.failure)
        if outcome.timed_out:
            return failure(exec_timed_out(action.command, want.probe.timeout_s))
        output = result.output.decode(errors="replace")
        if outcome.exit_code != 0:
            return failure(output)
        return Finding(verdict=Verdict.SUCCESS, output=output)

    # Hooks

    async def _hook(self, want: RunHook) -> Input:
        try:
            failed = await self._hook_failure(want, want.hook)
        except Exception as error:  # as above
            log.exception("hook.broke", container=want.container, hook=want.kind)
            failed = f"internal error: {error!r}"
        if failed is not None:
            log.info("hook.failed", container=want.container, hook=want.kind)
        return HookFinished(container=want.container, run=want.run, kind=want.kind, failure=failed)

    async def _hook_failure(self, want: RunHook, hook: Hook) -> str | None:
        match hook:
            case Sleep():
                await asyncio.sleep(hook.seconds)
                return None
            case HttpGet():
                plan = self._pod.plan
                error = NO_PORT if hook.port == 0 else await call_hook(hook, plan.pod_ip)
                if error is None:
                    return None
                return http_hook_failed(hook.path, plan, want.container, error)
            case Exec():
                return await self._exec_failure(want, hook)
            case _:
                return NO_HANDLER

    async def _exec_failure(self, want: RunHook, hook: Exec) -> str | None:
        plan, command = self._pod.plan, hook.command
        try:
            target = await self._target(want.container, want.run)
        except ImageError as error:
            return exec_hook_failed(command, plan, want.container, error.message)
        result = await self._execs.output_of(target, command, None)
        outcome = result.outcome
        if outcome.failure is not None:
            return exec_hook_failed(command, plan, want.container, outcome.failure)
        if outcome.exit_code == 0:
            return None
        output = result.output.decode(errors="replace")
        exited = exec_exited(command, outcome.exit_code, output)
        return exec_hook_failed(command, plan, want.container, exited, output)

    async def _target(self, container: ContainerName, run: int) -> ExecTarget:
        plan = self._pod.plan
        wanted = next(each for each in plan.containers if each.name == container)
        return ExecTarget(
            plan=plan, container=wanted, run=run, image=await self._image_of(container)
        )
