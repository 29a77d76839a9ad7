"""What a writer may ask of the election, whoever elects: a Lease, or nobody in static mode."""

import asyncio
from typing import Final, Protocol

from kubekit.leases import ZERO, Term


class Leadership(Protocol):
    """What writers need to know of the election."""

    @property
    def is_leading(self) -> bool:
        """Whether this process leads, by the clock, right now."""
        ...

    def assert_leading(self) -> Term:
        """The term to write under; raises NotLeadingError if there is none. Ask before a write."""
        ...

    async def leading(self) -> Term:
        """Wait until this process leads."""
        ...

    async def lost(self) -> None:
        """Wait until this process does not lead."""
        ...

    def deadline_left_s(self) -> float:
        """For how long this leadership holds without another renewal; 0 without leadership."""
        ...

    def request_timeout_s(self, maximum: float) -> float:
        """The time-out for a write sent now; raises NotLeadingError when no time is left."""
        ...


class StaticTerm:
    """Static mode: nobody to compete with, always leading, term zero."""

    is_leading: Final = True

    def assert_leading(self) -> Term:
        return ZERO

    async def leading(self) -> Term:
        return ZERO

    async def lost(self) -> None:
        await asyncio.Event().wait()

    def deadline_left_s(self) -> float:
        return float("inf")

    def request_timeout_s(self, maximum: float) -> float:
        return maximum
