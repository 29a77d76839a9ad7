"""What becomes of a pod's record while its plan is lost and its containers run on.

What follows from an end is the plan's to say, so nothing is decided here: a restart's delay is
written down, and counts once there is a policy that restarts.
"""

import msgspec

from wasm_executor.domain.backoff import BackOff, after_crash
from wasm_executor.domain.checkpoint import ContainerRecord, PodRecord
from wasm_executor.domain.frame import Rules
from wasm_executor.domain.history import container_id
from wasm_executor.domain.inputs import RunEnded
from wasm_executor.domain.restoring import Present, caught_up
from wasm_executor.domain.verdicts import ended


def ended_without_plan(record: PodRecord, run: Present, rules: Rules) -> PodRecord:
    """Return the record with the end of a run, if it has one and that is news."""
    known = {each.name: each for each in caught_up(record, (run,)).containers}
    past = known.get(run.container)
    if run.end is None or past is None or not past.underway or past.run != run.run:
        return record
    crash, over_mono = _crash_after(past, run.end, rules)
    known[run.container] = msgspec.structs.replace(
        past,
        underway=False,
        started_at=run.started_at,
        latest_end=ended(
            run.end, container_id(record.uid, run.container, run.run), memory_exceeded=False
        ),
        previous_end=past.latest_end,
        crash=crash,
        crash_over_mono=over_mono,
        begun_mono=None,
    )
    return msgspec.structs.replace(record, containers=tuple(known.values()))


def _crash_after(
    past: ContainerRecord, end: RunEnded, rules: Rules
) -> tuple[BackOff, float | None]:
    """Return what the next run waits, and when that is over on the monotonic clock."""
    since_s = 0.0
    if past.crash is not None:
        since_s = (end.at - past.crash.updated_at).total_seconds()
        if end.at_mono is not None and past.crash_over_mono is not None:
            since_s = end.at_mono - past.crash_over_mono
    delay = after_crash(past.crash, since_s, end.at, rules.restarts)
    over_mono = None if end.at_mono is None else end.at_mono + delay.seconds
    return delay.following, over_mono
