"""The commands of the bus as the executor answers them: who may give them, which plan counts."""

from typing import Final

from contract.digests import plan_digest
from contract.errors import CommandError
from contract.messages.form import Command, Done, Incarnation, Message, Term
from contract.messages.pod import PodAck, PodApply, PodForget
from contract.messages.report import Inventory, ReportAll
from podmodel.disk import StoredPlan
from podmodel.draining import meet
from podmodel.executor import Executor
from wasm_executor.domain.inputs import Forgotten, PlanArrived
from wasm_executor.domain.ordering import Rank, Standing, has_same_containers, standing

OUT_OF_DATE: Final = 409


def answer(executor: Executor, command: Command[Message]) -> Message:
    """Do what is asked; raises `CommandError`."""
    match command:
        case PodApply():
            return _apply(executor, command)
        case PodForget():
            return _forget(executor, command)
        case ReportAll():
            _check(executor, command.incarnation, command.term)
            executor.voice.say_all(executor.pods.values())
            disk = executor.disk
            entries = tuple(executor.voice.entries(executor.pods))
            return Inventory(incarnation=disk.incarnation, epoch=disk.epoch, entries=entries)
        case _:
            raise AssertionError(command)


def _check(executor: Executor, incarnation: Incarnation, term: Term) -> None:
    disk = executor.disk
    if incarnation != disk.incarnation:
        raise CommandError(OUT_OF_DATE, "another incarnation of this executor is meant")
    if disk.term is not None and term < disk.term:
        raise CommandError(OUT_OF_DATE, "stale term")
    disk.term = term


def _apply(executor: Executor, command: PodApply) -> PodAck:
    _check(executor, command.incarnation, command.term)
    plan = command.plan
    assert plan is not None
    assert plan_digest(plan) == command.plan_digest
    live = executor.pods.get(command.uid)
    recorded = executor.disk.record(command.uid) is not None
    known = live is not None or recorded or bool(command.last_status)
    rank = Rank(term=command.term, revision=command.revision)
    stored = StoredPlan(rank=rank, digest=command.plan_digest, plan=plan)
    known_rank = None if live is None else live.stored.rank
    known_digest = "" if live is None else live.stored.digest
    how = standing(known_rank, known_digest, rank, command.plan_digest)
    if how is Standing.OUTDATED:
        raise CommandError(OUT_OF_DATE, "an older plan of this pod")
    if how is not Standing.REPEATED:
        executor.disk.plans[command.uid] = stored
    if live is None:
        executor.add(stored, command.last_status, command.started_at)
    elif how is Standing.NEW:
        assert has_same_containers(live.stored.plan, plan)
        live.stored = stored
        executor.tell(live, PlanArrived(plan=plan))
    elif how is Standing.SAME:
        live.stored = stored
    meet(executor, command.uid, known=known)
    changed = how is Standing.NEW
    return PodAck(uid=command.uid, plan_digest=command.plan_digest, changed=changed)


def _forget(executor: Executor, command: PodForget) -> Done:
    _check(executor, command.incarnation, command.term)
    live = executor.pods.get(command.uid)
    if live is None:
        executor.planless.forget(command.uid, command.grace_s)
    else:
        executor.tell(live, Forgotten(grace_s=command.grace_s))
    return Done()
