"""What `/healthz` says of a node's checks, and what is counted of them, as a kubelet prints both.

Why a check failed stays here: anybody may ask.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

PING: Final = "ping"
LOG: Final = "log"
SYNC_LOOP: Final = "syncloop"
CHECKS: Final = (PING, LOG, SYNC_LOOP)

_RESULT: Final = "kubernetes_healthcheck"
_TOTAL: Final = "kubernetes_healthchecks_total"
_HELP: Final = {
    _RESULT: "[STABLE] This metric records the result of a single healthcheck.",
    _TOTAL: "[STABLE] This metric records the results of all healthcheck.",
}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer of a health check."""

    healthy: bool
    text: str


def told(results: Mapping[str, bool], excluded: Sequence[str], *, verbose: bool) -> Told:
    """Return what the checks come to; `results` has every check that is not excluded."""
    lines = [
        f"[+]{check} excluded: ok\n" if check in excluded else _line(check, good=results[check])
        for check in CHECKS
    ]
    unknown = sorted(set(excluded).difference(CHECKS))
    if unknown:
        named = ",".join(f'"{each}"' for each in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {named}\n")
    if not all(results.values()):
        return Told(healthy=False, text="".join([*lines, "healthz check failed\n"]))
    if not verbose:
        return Told(healthy=True, text="ok")
    return Told(healthy=True, text="".join([*lines, "healthz check passed\n"]))


def _line(check: str, *, good: bool) -> str:
    return f"[+]{check} ok\n" if good else f"[-]{check} failed: reason withheld\n"


class CheckCounts:
    """How the checks of one node have ended since the last reset."""

    def __init__(self) -> None:
        self._last: dict[str, bool] = {}
        self._ended: Counter[tuple[str, str]] = Counter()

    def count(self, results: Mapping[str, bool]) -> None:
        """Remember one run of checks."""
        for check, good in results.items():
            self._last[check] = good
            self._ended[check, "success" if good else "error"] += 1

    def reset(self) -> None:
        """Forget all."""
        self._last.clear()
        self._ended.clear()

    def rendered(self) -> str:
        """Return them in the text form of Prometheus; nothing before the first check."""
        results = [
            f'{_RESULT}{{name="{check}",type="healthz"}} {int(good)}\n'
            for check, good in sorted(self._last.items())
        ]
        totals = [
            f'{_TOTAL}{{name="{check}",status="{status}",type="healthz"}} {count}\n'
            for (check, status), count in sorted(self._ended.items())
        ]
        return _family(_RESULT, "gauge", results) + _family(_TOTAL, "counter", totals)


def _family(name: str, kind: str, samples: Sequence[str]) -> str:
    if not samples:
        return ""
    return f"# HELP {name} {_HELP[name]}\n# TYPE {name} {kind}\n" + "".join(samples)
