"""The node name: asked for until it is granted, held by asking again, given back at the end.

Commands are served, and reports are said, only between a grant and its loss. Another holder's
grant ends the pods: he runs them now.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec
import structlog
from nats.aio.subscription import Subscription

from contract.errors import CommandError, ContractError
from contract.ids import NodeName
from contract.messages.form import Done, Incarnation
from contract.messages.log import LogOpen, LogRead
from contract.messages.node import (
    NodeBeat,
    NodeFacts,
    NodePing,
    NodeRegister,
    NodeRelease,
    NodeRevoke,
)
from contract.messages.pod import PodAck, PodApply, PodForget
from contract.messages.report import ReportAll
from contract.messages.stream import (
    AttachOpen,
    ExecOpen,
    ForwardOpen,
    StreamClose,
    StreamRead,
    StreamWrite,
)
from contract.messages.usage import UsageRead
from servicekit.bus import Bus, Handler
from servicekit.ending import end
from servicekit.errors import BusUnavailableError
from wasm_executor.supervisor.commands import Commands
from wasm_executor.supervisor.kubeletseries import Relists
from wasm_executor.supervisor.logs.serving import Logs
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.roster import Roster
from wasm_executor.supervisor.shutdown import Shutdown
from wasm_executor.supervisor.streams.streaming import Streams
from wasm_executor.supervisor.usage.answering import UsageDesk

log = structlog.get_logger()


class Grant:
    """The executor's claim on its node name."""

    def __init__(
        self, node: Node, roster: Roster, shutdown: Shutdown, bus: Bus, facts: NodeFacts
    ) -> None:
        self._node = node
        self._roster = roster
        self._shutdown = shutdown
        self._bus = bus
        self._facts = facts
        self._subscriptions: list[Subscription] = []
        self._commands = Commands(node, roster)
        self._logs = Logs(node, roster)
        self._streams = Streams(node, roster, self._logs)
        self._usage = UsageDesk(node, roster, facts)
        self._relists = Relists()
        self._stopping = False
        self._turn = asyncio.Lock()
        """Taken to change between holding and not holding."""
        self._pausing: asyncio.Timeout | None = None
        self.held = False

    @property
    def _name(self) -> NodeName:
        return self._node.reporter.node

    async def run(self, resume: Callable[[], Awaitable[None]]) -> None:
        """Ask, hold, ask again. `resume` goes on with the pods of an earlier life, once granted."""
        await self._bus.serve(
            self._node.tasks,
            NodeRevoke,
            self._name,
            self._revoked,
            id=self._node.identity.incarnation.executor_id,
        )
        while True:
            holder = await self._ask()
            async with self._turn:
                await self._heed(holder, resume)
            await self._pause()

    async def _heed(
        self, holder: Incarnation | None, resume: Callable[[], Awaitable[None]]
    ) -> None:
        if self._stopping or holder is None:
            return
        if holder == self._node.identity.incarnation:
            await self._take_up(resume)
        else:
            await self._lose(holder)

    async def _ask(self) -> Incarnation | None:
        facts = msgspec.structs.replace(self._facts, images=self._node.listed_images())
        register = NodeRegister(
            node=self._name, incarnation=self._node.identity.incarnation, facts=facts
        )
        timeout_s = self._node.settings.register_retry_s
        try:
            answer = await self._bus.request(self._name, register, timeout_s=timeout_s)
        except (BusUnavailableError, ContractError) as error:
            log.info("node.not_registered", reason=str(error))
            return None
        return answer.holder

    async def _pause(self) -> None:
        """Wait for the next time to ask: soon where the name is not ours, at once reconnected."""
        settings = self._node.settings
        wait_s = settings.register_interval_s if self.held else settings.register_retry_s
        try:
            async with asyncio.timeout(wait_s) as self._pausing:
                await self._bus.wait_reconnected()
        except TimeoutError:
            return
        finally:
            self._pausing = None
        for task in self._roster:
            await task.say_again()

    # Granted

    async def _take_up(self, resume: Callable[[], Awaitable[None]]) -> None:
        if self.held:
            return
        self.held = True
        self._keep(self._node.identity.incarnation)
        log.info("node.granted", node=self._name)
        await resume()
        self._node.speak(self._bus)
        await self._serve()
        for task in self._roster:
            await task.say_all()
        await self.beat()

    async def _serve(self) -> None:
        tasks, name, bus = self._node.tasks, self._name, self._bus
        commands, logs, streams = self._commands, self._logs, self._streams
        held = self._while_held
        self._subscriptions = [
            await bus.serve(tasks, PodApply, name, held(self._apply)),
            await bus.serve(tasks, PodForget, name, held(commands.forget)),
            await bus.serve(tasks, ReportAll, name, held(commands.report_all)),
            await bus.serve(tasks, NodePing, name, held(commands.ping)),
            await bus.serve(tasks, LogOpen, name, held(logs.open), stream=True),
            await bus.serve(tasks, LogRead, name, held(logs.read), stream=True),
            await bus.serve(tasks, ExecOpen, name, held(streams.exec), stream=True),
            await bus.serve(tasks, AttachOpen, name, held(streams.attach), stream=True),
            await bus.serve(tasks, ForwardOpen, name, held(streams.forward), stream=True),
            await bus.serve(tasks, StreamRead, name, held(streams.read), stream=True),
            await bus.serve(tasks, StreamWrite, name, held(streams.write), stream=True),
            await bus.serve(tasks, StreamClose, name, held(streams.close), stream=True),
            await bus.serve(tasks, UsageRead, name, held(self._usage.read), stream=True),
        ]

    def _while_held[C, R](self, handler: Handler[C, R]) -> Handler[C, R]:
        """What waits in the queue when the name is lost is refused: its answer would come late."""

        async def answer(node: NodeName, command: C) -> R:
            if not self.held:
                raise CommandError(503, "the node name is not held any more")
            return await handler(node, command)

        return answer

    async def _apply(self, node: NodeName, command: PodApply) -> PodAck:
        """Take a plan; nothing waits between that and the refusal of a node that shuts down."""
        known = self._shutdown.is_known(command)
        ack = await self._commands.apply(node, command)
        self._shutdown.meet(command.uid, known=known)
        return ack

    async def beat_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._node.settings.beat_interval_s)
            if self.held:
                await self.beat()

    async def beat(self) -> None:
        identity = self._node.identity
        with self._relists.one():
            digest = self._roster.digest()
        await self._node.reporter.say(
            NodeBeat(
                node=self._name,
                incarnation=identity.incarnation,
                epoch=identity.epoch,
                at=datetime.now(UTC),
                inventory_digest=digest,
                pods=sum(not task.pod.stopped for task in self._roster),
                shutting_down=self._shutdown.begun,
            )
        )

    # Lost and given back

    async def _revoked(self, _node: NodeName, command: NodeRevoke) -> Done:
        if command.holder != self._node.identity.incarnation:
            self._node.keep_silent()
            self._node.tasks.create_task(self._obey(command), name="revoked")
        return Done()

    async def _obey(self, command: NodeRevoke) -> None:
        async with self._turn:
            await self._lose(command.holder)
        self._ask_soon()

    def _ask_soon(self) -> None:
        """Cut a pause short that was begun as the holder: the name may become free any time."""
        if self._pausing is not None and not self._pausing.expired():
            loop = asyncio.get_running_loop()
            self._pausing.reschedule(loop.time() + self._node.settings.register_retry_s)

    async def _lose(self, holder: Incarnation) -> None:
        """Another runs this node now: end everything here, say nothing, forget it."""
        if self.held or self._node.standing.granted is not None or len(self._roster) > 0:
            log.warning("node.lost", node=self._name, holder=holder.executor_id)
        self.held = False
        self._node.keep_silent()
        await self._unsubscribe()
        self._keep(None)
        self._node.drop_stored_plans()
        await self._roster.halt(drop=True)

    async def stop(self) -> None:
        """Serve nothing more, end everything that runs, give the name back."""
        self._stopping = True
        async with self._turn:
            held, self.held = self.held, False
            self._node.keep_silent()
            await self._unsubscribe()
            await self._roster.halt(drop=False)
        if not held:
            return
        release = NodeRelease(node=self._name, incarnation=self._node.identity.incarnation)
        try:
            timeout_s = self._node.settings.release_timeout_s
            await self._bus.request(self._name, release, timeout_s=timeout_s)
        except (BusUnavailableError, ContractError) as error:
            log.warning("node.not_released", reason=str(error))

    async def _unsubscribe(self) -> None:
        subscriptions, self._subscriptions = self._subscriptions, []
        await end(*subscriptions)

    def _keep(self, granted: Incarnation | None) -> None:
        standing = msgspec.structs.replace(self._node.standing, granted=granted)
        self._node.keep_standing(standing)
