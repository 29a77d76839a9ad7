"""How a container that runs is brought to its end: hook, turn, word, kill."""

import msgspec


class Departure(msgspec.Struct, kw_only=True):
    """One container's way out, from the wish to the word that it shall end."""

    until: float
    """The end of its grace, on the monotonic clock."""
    in_order: bool
    """Others of its pod may have to end before it."""
    hook_runs: bool
    spared_until: float = 0.0
    """Once it is told to end, it has this long at least, however much its grace shrinks."""

    def hasten(self, until: float, *, hooks: bool) -> bool:
        """Shorten the grace; return whether there is none left for the hook that runs."""
        self.until = min(self.until, until)
        given_up = self.hook_runs and not hooks
        if given_up:
            self.hook_runs = False
        return given_up
