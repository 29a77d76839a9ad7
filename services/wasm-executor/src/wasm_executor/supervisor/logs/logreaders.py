"""Which runs' logs are being read: a log that somebody reads is not removed under him.

Readers hold nothing open between two reads, and none says goodbye. So whoever has read a moment ago
counts as reading.
"""

import time
from collections.abc import Callable
from typing import Final

from contract.ids import ContainerName, PodUid
from wasm_executor.supervisor.pods.runs import RunKey

READS_AGAIN_WITHIN_S: Final = 60.0
"""A reader whose own reader stalls comes late."""


class LogReaders:
    """The last read of each run that is being read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._read_at: dict[RunKey, float] = {}

    def saw(self, run: RunKey) -> None:
        """Somebody reads here, or will at once."""
        self._forget_old()
        self._read_at[run] = self._clock()

    def of(self, uid: PodUid, container: ContainerName) -> set[int]:
        """Return the runs of a container that are being read."""
        self._forget_old()
        return {each.run for each in self._read_at if each[:2] == (uid, container)}

    def _forget_old(self) -> None:
        oldest = self._clock() - READS_AGAIN_WITHIN_S
        gone = [run for run, read_at in self._read_at.items() if read_at < oldest]
        for run in gone:
            del self._read_at[run]
