"""Where a pod begins: with nothing, or with what its witnesses tell of it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from contract.messages.pod import PodPlan
from contract.messages.report import ContainerReport
from wasm_executor.domain.checkpoint import PodRecord
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.restoring import Present, restore
from wasm_executor.domain.witnesses import (
    is_ahead,
    new_record,
    record_of_present,
    record_of_status,
)
from wasm_executor.supervisor.execs.execing import Execs
from wasm_executor.supervisor.moments import now
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.lastwords import with_last_words
from wasm_executor.supervisor.pods.plans import StoredPlan
from wasm_executor.supervisor.pods.podtask import PodTask


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What the API server shows of a pod whose plan has just arrived."""

    containers: tuple[ContainerReport, ...] = ()
    started_at: datetime | None = None


def begin(
    node: Node, execs: Execs, stored: StoredPlan, present: Sequence[Present], told: Shown | None
) -> PodTask:
    """Return the pod as it was when it was last heard of. Its task has yet to run.

    `told` came with the plan; None where that was here already.
    """
    moment, shown = now(), told or Shown()
    present = [_with_last_words(node, stored.plan, each) for each in present]
    record = _past(node, stored, present, shown, moment)
    if shown.started_at is not None and shown.started_at < record.started_at:
        record = msgspec.structs.replace(record, started_at=shown.started_at)
    same_life = record.start_count == node.life
    restored = restore(
        stored.plan, record, present, same_life=same_life, now=moment, rules=node.rules
    )
    if told is None and not same_life:
        restored.pod.doubt(moment)
    task = PodTask(node, execs, stored, restored.pod, record.started_at, restored.news)
    for each in restored.pod.containers:
        if each.pid is not None:
            task.watch_memory(each.plan.name, each.history.run, each.pid)
    return task


def _with_last_words(node: Node, plan: PodPlan, run: Present) -> Present:
    """Add what a run that ended unseen said last."""
    if run.end is None:
        return run
    return msgspec.structs.replace(run, end=with_last_words(node.last_words, plan, run.end))


def _past(
    node: Node, stored: StoredPlan, present: Sequence[Present], shown: Shown, moment: Moment
) -> PodRecord:
    record = node.checkpoint.records.get(stored.plan.uid)
    told = record_of_status(stored.plan, shown.containers, moment)
    if record is not None and (present or not is_ahead(told, record)):
        return record
    if present:
        return record_of_present(stored.plan, present, node.life, moment)
    return told if shown.containers else new_record(stored.plan, node.life, moment)
