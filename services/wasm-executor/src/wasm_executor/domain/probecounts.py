"""How often each probe of a pod has ended how, as the kubelet counts them."""

from typing import Final

from contract.ids import ContainerName
from contract.messages.usage import ProbeCount
from wasm_executor.domain.checks import ProbeKind, Verdict
from wasm_executor.domain.inputs import ProbeFinished

BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Prometheus' default buckets."""


class _Count:
    def __init__(self) -> None:
        self.ended = dict.fromkeys(Verdict, 0)
        self.buckets = [0] * len(BOUNDS_S)
        self.seconds = 0.0

    def took(self, seconds: float) -> None:
        self.seconds += seconds
        for index, bound in enumerate(BOUNDS_S):
            self.buckets[index] += seconds <= bound


class ProbeCounts:
    """One pod's."""

    def __init__(self) -> None:
        self._counts: dict[tuple[ContainerName, ProbeKind], _Count] = {}
        self._begun: dict[tuple[ContainerName, ProbeKind], float] = {}

    def begin(self, container: ContainerName, kind: ProbeKind, mono: float) -> None:
        """A container is asked; of each kind it has one probe under way at a time."""
        self._begun[container, kind] = mono

    def end(self, news: ProbeFinished, mono: float) -> None:
        """Count an outcome. The kubelet keeps no time of a failure."""
        key = (news.container, news.kind)
        count = self._counts.setdefault(key, _Count())
        count.ended[news.verdict] += 1
        if news.verdict is not Verdict.FAILURE:
            count.took(mono - self._begun.get(key, mono))

    def of(self, container: ContainerName) -> tuple[ProbeCount, ...]:
        """Return a container's counts, over all its runs here."""
        return tuple(
            ProbeCount(
                kind=kind,
                successful=count.ended[Verdict.SUCCESS],
                failed=count.ended[Verdict.FAILURE],
                unknown=count.ended[Verdict.UNKNOWN],
                buckets=tuple(count.buckets),
                seconds=count.seconds,
            )
            for (name, kind), count in self._counts.items()
            if name == container
        )
