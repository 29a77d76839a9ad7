"""How much of a log a reader is given at a time.

Large chunks, and a next one on its way while one is sent, double what a quick reader gets. One who
stalls holds all of that in memory. So it is for those alone who have taken much, and at once: more
than the buffers of kernels between us and them hold.
"""

from typing import Final

from contract.messages.log import MAX_CHUNK_BYTES

STALLED_S: Final = 0.25
TRUSTED_BYTES: Final = 4 * 1024 * 1024


class Pace:
    """One reader's."""

    def __init__(self, careful_bytes: int) -> None:
        self._careful_bytes = careful_bytes
        self._taken = 0

    @property
    def is_trusted(self) -> bool:
        """Whether the next chunk may be asked for before this one is sent."""
        return self._taken >= TRUSTED_BYTES

    @property
    def chunk_bytes(self) -> int:
        """How much to ask for."""
        return MAX_CHUNK_BYTES if self.is_trusted else self._careful_bytes

    def took(self, size: int, waited_s: float) -> None:
        """Count what the reader has taken, and how long it took him."""
        self._taken = 0 if waited_s > STALLED_S else self._taken + size
