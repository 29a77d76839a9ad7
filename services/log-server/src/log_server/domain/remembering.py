"""Verdicts that are remembered for a while, in bounded room."""

from collections import OrderedDict


class Remembered[K, V]:
    """Values that end by themselves. Full, it forgets what was put in first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def put(self, key: K, value: V, *, until: float) -> None:
        """Remember a value until this time of the clock that `get` is asked by."""
        self._entries.pop(key, None)
        self._entries[key] = (until, value)
        while len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def get(self, key: K, now: float) -> V | None:
        """Return the value, or None when there is none or it has ended."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        until, value = entry
        if now >= until:
            del self._entries[key]
            return None
        return value
