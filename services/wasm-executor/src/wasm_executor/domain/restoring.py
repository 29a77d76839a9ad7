"""A pod that this executor, or another before it, has run already.

Three witnesses are heard, in this order: the keeper, who knows what runs and what has ended since;
our own record on disk; and the status in the API, which a plan brings along for an executor that
has neither. Whatever was running and is not any more counts as killed, and the restart policy
decides: nothing runs twice, and nothing that is finished runs again.
"""

import signal
import zlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from contract.ids import ContainerName
from contract.messages.pod import ContainerPlan, Deletion, PodPlan
from contract.messages.report import Terminated
from wasm_executor.domain import verdicts
from wasm_executor.domain.backoff import BackOff
from wasm_executor.domain.checkpoint import ContainerRecord, PodRecord
from wasm_executor.domain.container import Container
from wasm_executor.domain.frame import Cause, Frame, Rules
from wasm_executor.domain.health import Past
from wasm_executor.domain.history import container_id
from wasm_executor.domain.inputs import Input, RunEnded
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.pod import Pod
from wasm_executor.domain.states import Phase
from wasm_executor.domain.turns import is_finished
from wasm_executor.domain.verdicts import After


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """A run as the keeper knows it: alive, or with its end."""

    container: ContainerName
    run: int
    pid: int
    started_at: datetime
    end: RunEnded | None = None


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """The pod as it was, and what it has yet to hear."""

    pod: Pod
    news: tuple[Input, ...]


def restore(
    plan: PodPlan,
    record: PodRecord,
    present: Sequence[Present],
    *,
    same_life: bool,
    now: Moment,
    rules: Rules,
) -> Restored:
    """Return the pod as the witnesses tell. `same_life`: our keeper wrote this record.

    What was lost with an earlier life begins anew in the pod's order.
    """
    frame = Frame(plan, rules)
    if not same_life:
        record = without_mono(record)
    record = caught_up(record, present)
    pasts = {each.name: each for each in record.containers}
    runs = {(each.container, each.run): each for each in present}
    containers: list[Container] = []
    news: list[Input] = []
    for wanted in plan.containers:
        past = pasts.get(wanted.name, ContainerRecord(name=wanted.name))
        run = runs.get((past.name, past.run)) if past.underway else None
        if past.underway and not same_life:
            past = _without_lost(plan, wanted, past, run, now)
        container = _with_history(frame, wanted, past, now)
        container.begun = same_life and past.run >= 0 and not past.due
        containers.append(container)
        if past.underway and not (same_life and run is None):
            news.extend(_resume(container, past, run, now, same_life=same_life))
        else:
            _hold(container, past, now)
    frame.restarting_all = record.restarting_all
    _go_on_ending(frame, containers, record, now)
    begun_at = now.mono - now.passed_since(record.started_at, record.begun_mono)
    return Restored(pod=Pod(frame, containers, begun_at), news=tuple(news))


def _go_on_ending(
    frame: Frame, containers: Sequence[Container], record: PodRecord, now: Moment
) -> None:
    """End what was ending: nothing that the past tells of may start anything then."""
    plan = frame.plan
    frame.sentence = record.sentence
    by_itself = record.sentence is None and plan.deletion is None and not frame.restarting_all
    if by_itself and is_finished(containers):
        frame.end(Cause.FINISHED, plan.termination_grace_s, now)
    if record.sentence is not None:
        frame.end(Cause.CONDEMNED, plan.termination_grace_s, now)
    if record.forgotten:
        frame.end(Cause.FORGOTTEN, plan.termination_grace_s, now)
    if plan.deletion is not None:
        frame.end(Cause.DELETED, _remaining_grace(plan.deletion, now), now)


def _with_history(
    frame: Frame, plan: ContainerPlan, past: ContainerRecord, now: Moment
) -> Container:
    container = Container(frame, plan)
    container.history.recall(past)
    container.retries.recall(past, now)
    container.tried = past.run >= 0
    container.due = past.due
    return container


def _resume(
    container: Container,
    past: ContainerRecord,
    run: Present | None,
    now: Moment,
    *,
    same_life: bool,
) -> list[Input]:
    """Go on with a run that came to be; return its end if it has one."""
    started_at = (run.started_at if run else past.started_at) or now.wall
    container.history.resume_run(started_at)
    known = Past(
        age_s=now.passed_since(started_at, past.begun_mono),
        started=past.started,
        ready=past.ready,
        share=_share(container),
    )
    container.resume(run.pid if run else None, known, now)
    if run is not None and run.end is None:
        container.replace_other_image(now)
        return []
    end = run.end if run is not None and run.end is not None else _killed(past, started_at, now)
    if same_life:
        return [end]
    return [msgspec.structs.replace(end, lost=_is_kill(end), at_mono=None)]


def _without_lost(
    plan: PodPlan, wanted: ContainerPlan, past: ContainerRecord, run: Present | None, now: Moment
) -> ContainerRecord:
    """Account for a run that was killed with its keeper: for that, no restart backs off.

    One that had crashed by itself, or whose end concerns the whole pod, is news for the pod.
    """
    end = run.end if run is not None else None
    end = end or _killed(past, (run.started_at if run else past.started_at) or now.wall, now)
    everything = verdicts.after(plan, wanted, end.exit_code) is After.RESTART_ALL
    if not _is_kill(end) or everything:
        return past
    return msgspec.structs.replace(
        past,
        underway=False,
        latest_end=verdicts.ended(
            end, container_id(plan.uid, past.name, past.run), memory_exceeded=False
        ),
        previous_end=past.latest_end,
        crash=None,
    )


def _share(container: Container) -> float:
    """Return a number from 0 to 1, of this container and no other."""
    return zlib.crc32(container.history.current_id.encode()) / 2**32


def _killed(past: ContainerRecord, started_at: datetime, now: Moment) -> RunEnded:
    return RunEnded(
        container=past.name,
        run=past.run,
        exit_code=verdicts.KILLED_CODE,
        signal=signal.SIGKILL,
        started_at=started_at,
        at=now.wall,
    )


def _is_kill(end: RunEnded) -> bool:
    return end.exit_code == verdicts.KILLED_CODE


def _hold(container: Container, past: ContainerRecord, now: Moment) -> None:
    """Place a container of which nothing runs: over for good, backing off, or about to start."""
    if past.latest_end is None:
        if past.ended:
            container.phase, container.over = Phase.ENDED, True
        return
    if past.ended or not (past.due or _runs_again(container, past.latest_end)):
        container.phase, container.over = Phase.ENDED, True
        return
    if not past.due:
        container.pause.clear()
    if past.crash is None:
        return
    remaining_s = _remaining_back_off(past.crash, past.crash_over_mono, now)
    delay_s = (past.crash.updated_at - past.latest_end.finished_at).total_seconds()
    # A clock that was set between the two makes a delay that no back-off ever gave.
    if 0 < remaining_s <= delay_s <= past.crash.delay_s:
        container.phase = Phase.CRASH_BACK_OFF
        container.back_off(delay_s, remaining_s, now)


def _remaining_back_off(crash: BackOff, over_mono: float | None, now: Moment) -> float:
    if over_mono is not None:
        return over_mono - now.mono
    return (crash.updated_at - now.wall).total_seconds()


def _runs_again(container: Container, end: Terminated) -> bool:
    following = verdicts.after(container.frame.plan, container.plan, end.exit_code)
    return following is not After.OVER


def _remaining_grace(deletion: Deletion, now: Moment) -> float:
    return max(0.0, deletion.grace_s - now.passed_since(deletion.requested_at))


def without_mono(record: PodRecord) -> PodRecord:
    """Return the record of another life, which may have been before the machine was started."""
    containers = tuple(
        msgspec.structs.replace(each, crash_over_mono=None, begun_mono=None)
        for each in record.containers
    )
    return msgspec.structs.replace(record, begun_mono=None, containers=containers)


def caught_up(record: PodRecord, present: Sequence[Present]) -> PodRecord:
    """Return the record with the runs that began after it was written, as on a full disk."""
    known = {each.name: each for each in record.containers}
    for each in sorted(present, key=lambda each: each.run):
        past = known.get(each.container, ContainerRecord(name=each.container))
        if each.run > past.run:
            known[each.container] = msgspec.structs.replace(
                past,
                run=each.run,
                underway=True,
                ended=False,
                started_at=each.started_at,
                begun_mono=None,
            )
    return msgspec.structs.replace(record, containers=tuple(known.values()))
