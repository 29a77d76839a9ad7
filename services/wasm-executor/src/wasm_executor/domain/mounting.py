"""A pod's volumes: nothing of it begins before they are there, and a changed plan renews them."""

from enum import StrEnum
from typing import Final

from contract.messages.pod import PodPlan
from contract.messages.report import Occurrence
from wasm_executor.domain.effects import DropVolumes, PrepareVolumes
from wasm_executor.domain.frame import Frame
from wasm_executor.domain.inputs import VolumesFailed, VolumesPrepared
from wasm_executor.domain.moments import Moment

FIRST_DELAY_S: Final = 0.5
MAX_DELAY_S: Final = 122.0
"""The kubelet's: it doubles from half a second to two minutes and two seconds."""


class Mounted(StrEnum):
    """How far a pod's volumes are."""

    WANTED = "wanted"
    UNDER_WAY = "under-way"
    THERE = "there"
    FAILED = "failed"
    """What failed is tried again after a while."""
    DROPPED = "dropped"
    """The pod is over, and keeps neither secrets nor scratch space."""


class Mounting:
    """One pod's."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.state = Mounted.WANTED if frame.plan.volumes else Mounted.THERE
        self.complete = not frame.plan.volumes
        """All volumes have been there once: containers may begin, with what there is."""
        self.wake_at: float | None = None
        self._attempt = 0
        self._delay_s = FIRST_DELAY_S

    @property
    def under_way(self) -> bool:
        """They are being made, and the pod begins as soon as they are there."""
        return self.state is Mounted.UNDER_WAY and not self.complete

    def renew(self, before: PodPlan) -> None:
        """Take a changed plan: other contents, or a source that has turned up."""
        if self._frame.plan.volumes != before.volumes and self.state is not Mounted.DROPPED:
            self.state, self.wake_at = Mounted.WANTED, None
            self._delay_s = FIRST_DELAY_S

    def go_on(self, now: Moment) -> None:
        """Ask for what is wanted, and once more for what failed long enough ago."""
        if self.wake_at is not None and now.mono >= self.wake_at:
            self.state, self.wake_at = Mounted.WANTED, None
        if self.state is Mounted.WANTED and not self._frame.starts_nothing:
            self._attempt += 1
            self.state = Mounted.UNDER_WAY
            self._frame.want(PrepareVolumes(attempt=self._attempt, renewal=self.complete))

    def drop(self) -> None:
        """The pod is over: have what is left removed, once in each life of ours."""
        if self._frame.plan.volumes and self.state is not Mounted.DROPPED:
            self.state, self.wake_at = Mounted.DROPPED, None
            self._frame.want(DropVolumes())

    def prepared(self, news: VolumesPrepared) -> None:
        if self._awaits(news.attempt):
            self.state, self.complete = Mounted.THERE, True

    def failed(self, news: VolumesFailed, now: Moment) -> None:
        if not self._awaits(news.attempt):
            return
        self.state = Mounted.FAILED
        self.wake_at = now.mono + self._delay_s
        self._delay_s = min(self._delay_s * 2, MAX_DELAY_S)
        self._frame.tell(
            Occurrence(reason="FailedMount", message=news.message, at=now.wall, type="Warning")
        )

    def _awaits(self, attempt: int) -> bool:
        return attempt == self._attempt and self.state is not Mounted.DROPPED
