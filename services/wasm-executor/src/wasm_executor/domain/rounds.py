"""Restarts of all containers: they end without grace, and then all begin anew.

A kubelet backs off none of it: it removes the ended containers, and with them what a back-off would
count from. What bounds its rounds is that it looks for ended containers once a second. We hear of
an end at once; so the same second is kept here, or a guest that only exits would begin anew, and
have its status written, twenty times in each.
"""

from collections.abc import Sequence
from typing import Final

from contract.messages.pod import ContainerRole
from wasm_executor.domain.container import Container
from wasm_executor.domain.frame import Frame
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.states import Phase

ROUND_S: Final = 1.0
"""The kubelet's `genericPlegRelistPeriod`."""


class Rounds:
    """One pod's; ephemeral containers are not part of them."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._next_at = float("-inf")
        """On the monotonic clock. A supervisor that starts does not know it, and waits for none."""
        self.wake_at: float | None = None

    def go_on(self, containers: Sequence[Container], now: Moment) -> None:
        """End all that run, if a round is due, and let all begin once none does."""
        self.wake_at = None
        if not self._frame.restarting_all or self._frame.ending is not None:
            return
        own = [each for each in containers if each.plan.role is not ContainerRole.EPHEMERAL]
        for each in own:
            each.stopping.reset(now)
        if not all(each.phase in (Phase.ENDED, Phase.PENDING) for each in own):
            return
        if now.mono < self._next_at:
            self.wake_at = self._next_at
            return
        self._next_at = now.mono + ROUND_S
        self._frame.restarting_all = False
        for each in own:
            each.begin_anew()
