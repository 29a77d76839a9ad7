"""How long `kubectl logs` of a quiet pod takes while others stand at its node's port."""

import time

from e2e.pods import Pods

SLOWER_AT_MOST = 10
UNNOTICED_S = 5.0
"""Of a busy machine, not of being held up: whoever waits for a crowd waits for good."""


def slowest_read_s(pods: Pods) -> float:
    """Of three times that the log of the pod `quiet`, which is `hello`, is read."""
    took_s = []
    for _ in range(3):
        began = time.monotonic()
        assert pods.logs("quiet") == "hello\n"
        took_s.append(time.monotonic() - began)
    return max(took_s)


def is_held_up(crowded_s: float, alone_s: float) -> bool:
    return crowded_s >= max(SLOWER_AT_MOST * alone_s, UNNOTICED_S)
