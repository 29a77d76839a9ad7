"""When a pod's state is news.

A status write at the API server costs more than the start of a guest. So what is about to change
anyway waits for a moment: a prompt start is one report with Running, an immediate restart is one
report with the new run. What takes longer than that moment is shown as it is. A pull may take long
and is shown soon; a process that only waits to be forked is worth waiting for.
"""

import msgspec

from contract.messages.report import ContainerReport
from wasm_executor.domain.checkpoint import Sentence
from wasm_executor.domain.moments import Moment


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a report says, its numbers aside."""

    containers: tuple[ContainerReport, ...]
    stopped: bool
    generation: int
    plan_digest: str
    sentence: Sentence | None = None
    restarting_all: bool = False
    awaits_volumes: bool = False
    deleted: bool = False


class Publication:
    """What of one pod has been said, and what waits to be."""

    def __init__(self) -> None:
        self._said: Content | None = None
        self._waiting_since: float | None = None

    def due_at(
        self, content: Content, now: Moment, *, settled: bool, patience_s: float
    ) -> float | None:
        """Return when to say this, on the monotonic clock; None where it is known already."""
        if content == self._said:
            self._waiting_since = None
            return None
        if self._waiting_since is None:
            self._waiting_since = now.mono
        if settled and (content.stopped or not self._only_numbers_differ(content)):
            return now.mono
        return self._waiting_since + patience_s

    def said(self, content: Content) -> None:
        self._said = content
        self._waiting_since = None

    def _only_numbers_differ(self, content: Content) -> bool:
        """A new plan or generation alone goes along with what it causes."""
        return (
            self._said is not None
            and self._said.containers == content.containers
            and self._said.stopped == content.stopped
            and self._said.sentence == content.sentence
            and self._said.restarting_all == content.restarting_all
        )
