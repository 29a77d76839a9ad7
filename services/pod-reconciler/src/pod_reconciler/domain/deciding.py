"""What shall become of a pod, given all that is known: admitted once, planned, stopped, ended."""

from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from contract.messages.node import NodeFacts
from contract.messages.pod import Deletion
from pod_reconciler.domain.admission import (
    UNEXPECTED,
    Circumstances,
    Refusal,
    decide,
    without_runtime,
)
from pod_reconciler.domain.annotating import planned_anyway
from pod_reconciler.domain.lifecycle import PodEvent, PodState
from pod_reconciler.domain.material import NO_MATERIAL, Lack
from pod_reconciler.domain.parting import bare_parting, parting
from pod_reconciler.domain.planning import deletion_of
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.surroundings import Surroundings
from pod_reconciler.domain.withholding import untold, without_ephemeral
from pod_reconciler.errors import PlanError
from podspec.admission import FEATURE_REASON
from podspec.occupancy import Occupancy


class Decider:
    """Decides about the pods of one node. `wall` gives the time of day."""

    def __init__(self, wall: Callable[[], datetime]) -> None:
        self._wall = wall
        self._news: list[PodRecord] = []
        self.taken = Occupancy()

    def news(self) -> Iterator[PodRecord]:
        """The pods decided about since the last call, each once."""
        while self._news:
            yield self._news.pop(0)

    def consider(
        self, record: PodRecord, around: Surroundings, facts: NodeFacts | None, *, known: bool
    ) -> None:
        """Bring a record up to date. `known` says that the executor may have the pod.

        Whatever a pod's content does to us, the other pods go on: it is refused, or keeps the plan
        that it has.
        """
        material = record.material or NO_MATERIAL
        handler = material.handler if isinstance(material.handler, str) else ""
        around = msgspec.structs.replace(around, runtime_handler=handler, material=material)
        try:
            self._judge(record, facts, known=known)
            if not record.is_short_of_material:
                self._consider(record, around, facts, known=known)
        except Exception as error:  # noqa: BLE001 - the boundary of one pod, see above
            # Its text might quote what it was about, which may be a Secret's content.
            record.mishap = type(error).__name__
            self._refuse(record, UNEXPECTED, type(error).__name__)
            if record.state is PodState.SEEN:
                self._go_on_without_plan(record)

    def _consider(
        self, record: PodRecord, around: Surroundings, facts: NodeFacts | None, *, known: bool
    ) -> None:
        match record.state:
            case PodState.SEEN if known or record.runs_already:
                self._see_if_it_waits(record, around, known=known)
                self._admit(record, around)
            case PodState.SEEN:
                self._take_on(record, around, facts)
            case PodState.ADMITTED:
                self._see_if_it_waits(record, around, known=known)
                self._plan(record, around)
            case PodState.ENDED:
                self._stop(record, around)
            case PodState.DELETING:
                self._delete(record, around, known=known)
            case _:
                pass

    def _go_on_without_plan(self, record: PodRecord) -> None:
        """What is new is turned away; of what runs, the API hears what becomes."""
        if record.refusal is not None:
            self._turn_away(record)
        else:
            record.moved(PodEvent.ADMITTED)

    def _judge(self, record: PodRecord, facts: NodeFacts | None, *, known: bool) -> None:
        """Once per pod, whatever its plan still waits for: then it has its room, or is refused.

        Else what is read soonest would go before what is older. One that some kubelet has taken on
        already is never asked again.
        """
        if record.state is not PodState.SEEN or record.is_judged:
            return
        pod_json = msgspec.json.decode(record.raw)
        if not (known or record.runs_already):
            judged_by = Circumstances(
                facts=facts,
                place=record.place,
                is_static=record.is_static,
            )
            decision = decide(without_ephemeral(pod_json), judged_by, self.taken)
            record.refusal, record.ignored = decision.refusal, decision.ignored
        record.is_judged = True
        if record.refusal is not None:
            self._turn_away(record)
        else:
            self.taken.take(record.uid, pod_json)

    def _turn_away(self, record: PodRecord) -> None:
        record.moved(PodEvent.REFUSED)
        self.taken.release(record.uid)
        self._news.append(record)

    def _take_on(self, record: PodRecord, around: Surroundings, facts: NodeFacts | None) -> None:
        """Admit a pod that is new, once it is known which runtime it asks for."""
        self._see_if_it_waits(record, around, known=False)
        handler = around.material.handler
        if isinstance(handler, Lack):
            return
        record.refusal = without_runtime(handler, facts)
        if record.refusal is not None:
            self._turn_away(record)
            return
        self._admit(record, around)

    def _see_if_it_waits(self, record: PodRecord, around: Surroundings, *, known: bool) -> None:
        """Take note of a pod that its node does not have and that cannot be planned yet.

        Such a one may have been started before: its node was set up anew.
        """
        handler, awaited = around.material.handler, ""
        if isinstance(handler, Lack) and record.plan is None and not known:
            awaited = f"Failed to create pod sandbox: {handler.problem}"
        record.waits_for(awaited)

    def _admit(self, record: PodRecord, around: Surroundings) -> None:
        """Plan it for the first time: what cannot be planned is refused after all."""
        self._plan(record, around)
        if record.refusal is not None:
            self._turn_away(record)
            return
        record.moved(PodEvent.ADMITTED)
        self.taken.take(record.uid, msgspec.json.decode(record.raw))
        self._news.append(record)

    def _plan(self, record: PodRecord, around: Surroundings) -> None:
        """Plan anew if what a plan is made of has changed, and all of it is known."""
        assert record.pod is not None
        if isinstance(around.material.handler, Lack):
            self._part_with(record, around)
            return
        basis = record.pod.plan_basis(), around, record.stop
        if record.plan_basis == basis:
            return
        try:
            made = planned_anyway(record, around)
        except PlanError as error:
            if not record.is_new:
                record.ignores({error.field: str(error)})  # it goes on as it did before
            self._refuse(record, FEATURE_REASON, str(error))
            self._part_with(record, around)
            return
        plan, blobs, lacking, own = made.planned
        if record.stop is not None:
            plan = msgspec.structs.replace(plan, deletion=record.stop)
        record.planned(plan, blobs, own)
        record.untold = untold(record, made.withheld)
        record.lacks_secrets(lacking)
        record.ignores(made.faults)
        record.plan_basis, record.withheld = basis, made.withheld
        record.annotations = made.annotations

    def _end_as_planned(self, record: PodRecord, *, known: bool) -> None:
        """End what runs by the plan that it has: nothing may stand in the way of that.

        Where it has none here, for another reconciler took it on, its names have to do.
        """
        deletion = _end_of(record)
        assert deletion is not None, "only what ends comes here"
        if record.plan is None and known:
            record.planned(bare_parting(record, deletion).plan, {})
        elif record.plan is not None and record.plan.deletion != deletion:
            plan = msgspec.structs.replace(record.plan, deletion=deletion)
            record.planned(plan, record.blobs, record.own_contents)

    def _part_with(self, record: PodRecord, around: Surroundings) -> None:
        """End what cannot be planned by as much of a plan as there can be."""
        deletion = _end_of(record)
        if deletion is not None and record.plan is not None and not record.is_planned:
            plan, blobs, _, own = parting(record, around, deletion)
            record.planned(plan, blobs, own)

    def _refuse(self, record: PodRecord, reason: str, message: str) -> None:
        """A pod that was never planned is refused; one that was keeps the plan that it has."""
        if record.is_new:
            record.refusal = Refusal(reason=reason, message=message)

    def _stop(self, record: PodRecord, around: Surroundings) -> None:
        """Somebody else ended the pod in the API; if its node still runs it, that has to end."""
        assert record.pod is not None
        if record.report is None:
            return
        if record.report.stopped:
            record.let_go()
            return
        if record.stop is None:
            grace_s = record.pod.spec.termination_grace_period_seconds
            record.stop = Deletion(requested_at=self._wall(), grace_s=grace_s)
        self._end_as_planned(record, known=True)
        self._plan(record, around)

    def _delete(self, record: PodRecord, around: Surroundings, *, known: bool) -> None:
        assert record.pod is not None
        if record.refusal is None and not record.is_stopping_done:
            self._end_as_planned(record, known=known)
            self._plan(record, around)
            if not self.taken.counts(record.uid):
                self.taken.take(record.uid, msgspec.json.decode(record.raw))
        nothing_runs = not known and (not record.is_planned or record.pod.is_terminal)
        if nothing_runs or record.is_stopping_done:
            record.moved(PodEvent.STOPPED)
            record.let_go()
            self.taken.release(record.uid)


def _end_of(record: PodRecord) -> Deletion | None:
    """How a pod is to end, where it is."""
    assert record.pod is not None
    return record.stop or deletion_of(record.pod)
