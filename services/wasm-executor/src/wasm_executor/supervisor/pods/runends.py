"""How runs end: what the keeper is told of them, and what goes with them."""

import signal
from collections.abc import Callable
from contextlib import suppress

from contract.ids import ContainerName
from wasm_executor.domain.effects import (
    AbandonRun,
    CloseStdin,
    ForgetRun,
    PlaceDrainFile,
    SignalRun,
)
from wasm_executor.domain.inputs import Input, RunEnded
from wasm_executor.domain.pod import Pod
from wasm_executor.domain.verdicts import KILLED_CODE
from wasm_executor.images.errors import ImageError
from wasm_executor.keeper.errors import ContainerInUseError, UnknownContainerError
from wasm_executor.supervisor import kubeletseries
from wasm_executor.supervisor.moments import now
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.checks import Checks, ImageOf
from wasm_executor.supervisor.pods.httpplans import is_served
from wasm_executor.supervisor.pods.runs import RunKey, container_of

type Told = SignalRun | CloseStdin | PlaceDrainFile | ForgetRun


class RunEnds:
    """One pod's. `checks` are those that end with a run, `image_of` what a run is made of."""

    def __init__(
        self, node: Node, pod: Pod, put: Callable[[Input], None], checks: Checks, image_of: ImageOf
    ) -> None:
        self._node = node
        self._pod = pod
        self._put = put
        self._checks = checks
        self._image_of = image_of

    async def tell(self, effect: Told) -> None:
        """An answer that there is no such run means that its end is on its way, or was taken."""
        keeper = self._node.keeper
        key = self._key(effect.container, effect.run)
        with suppress(UnknownContainerError):
            match effect:
                case SignalRun():
                    with kubeletseries.operation("stop_container"):
                        await keeper.signal(key, effect.signum)
                case CloseStdin() | PlaceDrainFile() if await self._serves(effect.container):
                    await keeper.signal(key, signal.SIGTERM)
                case CloseStdin():
                    await keeper.close_stdin(key)
                case PlaceDrainFile():
                    container = container_of(self._pod.plan, effect.container)
                    place = self._node.last_words.place_drain_file
                    if not place(self._pod.plan.uid, container, effect.run):
                        await keeper.signal(key, signal.SIGTERM)
                case ForgetRun():
                    self._let_go(effect, key)
                    with kubeletseries.operation("remove_container"):
                        await keeper.forget(key)

    async def abandon(self, effect: AbandonRun) -> None:
        """The keeper drops a run that is dead, its log written or not; a live one it keeps."""
        with suppress(ContainerInUseError, UnknownContainerError):
            await self._node.keeper.forget(self._key(effect.container, effect.run))
            present = now()
            self._put(
                RunEnded(
                    container=effect.container,
                    run=effect.run,
                    exit_code=KILLED_CODE,
                    at=present.wall,
                    started_at=present.wall,
                )
            )

    async def _serves(self, container: ContainerName) -> bool:
        """Say whether its runtime drains by itself: its requests end, and no guest is asked."""
        try:
            image = await self._image_of(container)
        except ImageError:
            return False
        return is_served(self._pod.plan.runtime_handler, image.facts.world)

    def _let_go(self, effect: ForgetRun, key: str) -> None:
        """Hold nothing of a run that is over; what it said last is told by now."""
        self._node.memory.unwatch(key)
        if not effect.again:
            self._checks.end(effect.container)
        container = container_of(self._pod.plan, effect.container)
        self._node.worlds.drop(self._pod.plan.uid, container, effect.run)

    def _key(self, container: ContainerName, run: int) -> str:
        return str(RunKey(self._pod.plan.uid, container, run))
