"""Run what failed in parts of the tests once more, by itself.

Three parts of `make test` share the machine, and a wait that is long enough alone may not be so
beside the others. What fails again is broken; what passes is a race, of a test or of ours, and is
named at the end, to be mended. A part that did not come to its end, or in which much failed, is
not run again.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

CACHE: Final = Path(".pytest_cache")
MOST: Final = 8
"""More failures than this are no race."""
ENDED: Final = (0, 1)
"""pytest's exit codes of a session that ran all of its tests."""


def main() -> int:
    failed = {part: failures(part) for part in sys.argv[1:]}
    names = [name for each in failed.values() for name in each]
    if not names:
        return refused("no test is on record as failed")
    if len(names) > MOST:
        return refused(f"{len(names)} tests failed; up to {MOST} are run again")
    for part, each in failed.items():
        if each and run(part, each) != 0:
            return 1
    named = "\n  ".join(names)
    print(f"failed beside others and passed alone, so a race that is to be mended:\n  {named}")
    return 0


def failures(part: str) -> list[str]:
    """The tests of a part that failed; an unfinished part ends the program."""
    known = CACHE / part / "v"
    try:
        code = json.loads((known / "wasmlet/exit_code").read_bytes())
    except FileNotFoundError:
        code = None
    if code not in ENDED:
        raise SystemExit(refused(f"{part} did not come to its end"))
    if code == 0:
        return []
    return sorted(json.loads((known / "cache/lastfailed").read_bytes()))


def run(part: str, names: list[str]) -> int:
    cache = f"cache_dir={CACHE / part / 'again'}"
    return subprocess.call([sys.executable, "-m", "pytest", "-o", cache, *names])


def refused(reason: str) -> int:
    print(f"not run again: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
