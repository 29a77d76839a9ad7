"""Waiting for what must come true, with a deadline, and never by sleeping and hoping."""

import time
from collections.abc import Callable

LOOK_EVERY_S = 0.1
LONGEST_LOOK_S = 5.0
"""What a look counts at most: a machine that was paused meanwhile has not waited."""


def eventually[T](ask: Callable[[], T], within_s: float = 30.0, every_s: float = LOOK_EVERY_S) -> T:
    """Returns the first true answer; an assertion that fails inside counts as not yet.

    At the deadline the last failed assertion is raised, or the last answer is shown.
    """
    waited_s, looked_at = 0.0, time.monotonic()
    while True:
        failure: AssertionError | None = None
        answer: T | None = None
        try:
            answer = ask()
            if answer:
                return answer
        except AssertionError as error:
            failure = error
        now = time.monotonic()
        waited_s += min(now - looked_at, LONGEST_LOOK_S)
        looked_at = now
        if waited_s > within_s:
            shown = str(failure) if failure else repr(answer)
            raise AssertionError(f"not after {within_s:.0f} s: {shown}") from failure
        time.sleep(every_s)


def steadily(ask: Callable[[], object], for_s: float) -> None:
    """Asks again and again; every answer must be true."""
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        answer = ask()
        assert answer, f"no longer true: {answer!r}"
        time.sleep(LOOK_EVERY_S)
