"""What an executor says of its pods: numbered reports, the inventory, beats with its digest."""

import itertools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from datetime import datetime

import msgspec

from contract.digests import inventory_digest
from contract.ids import NodeName, PodUid
from contract.messages.form import Event
from contract.messages.node import NodeBeat
from contract.messages.report import InventoryEntry, PodReported
from podmodel.apiserver import NODE
from podmodel.disk import Disk
from podmodel.livepod import LivePod


class Voice:
    """One supervisor's."""

    def __init__(self, disk: Disk, publish: Callable[[Event], None]) -> None:
        self._disk = disk
        self._publish = publish
        self._numbers = itertools.count(1)

    def say(self, pod: LivePod) -> None:
        content = pod.due()
        if content is not None:
            self._report(pod)

    def say_all(self, pods: Iterable[LivePod]) -> None:
        for pod in pods:
            if pod.said is not None:
                term = pod.stored.rank.term
                self._publish(msgspec.structs.replace(pod.said, term=term))
            else:
                self._report(pod)

    def _report(self, pod: LivePod) -> None:
        content, plan = pod.content(), pod.pod.plan
        sentence = content.sentence
        pod.said = PodReported(
            uid=plan.uid,
            namespace=plan.namespace,
            name=plan.name,
            incarnation=self._disk.incarnation,
            epoch=self._disk.epoch,
            sequence=next(self._numbers),
            plan_digest=content.plan_digest,
            generation=content.generation,
            term=pod.stored.rank.term,
            started_at=pod.started_at,
            containers=content.containers,
            stopped=content.stopped,
            reason="" if sentence is None else sentence.reason,
            message="" if sentence is None else sentence.message,
            restarting_all=content.restarting_all,
            deleted=content.deleted,
        )
        self._publish(pod.said)

    def entries(self, pods: Mapping[str, LivePod]) -> Iterator[InventoryEntry]:
        for uid in self._disk.uids():
            pod = pods.get(uid)
            if pod is None:
                record = self._disk.record(uid)
                assert record is not None
                yield InventoryEntry(
                    uid=PodUid(uid),
                    plan_digest="",
                    epoch=0,
                    sequence=0,
                    namespace=record.namespace,
                    name=record.name,
                )
            else:
                yield self._entry(pod)

    def _entry(self, pod: LivePod) -> InventoryEntry:
        said = pod.said
        return InventoryEntry(
            uid=pod.pod.plan.uid,
            plan_digest=pod.stored.digest if said is None else said.plan_digest,
            epoch=self._disk.epoch,
            sequence=0 if said is None else said.sequence,
        )

    def beat(self, pods: Mapping[str, LivePod], planless: Container[str], wall: datetime) -> None:
        heard = [self._entry(each) for each in pods.values() if each.said is not None]
        # What runs without a plan makes the two sides differ, until it has one or is forgotten.
        heard += [each for each in self.entries(pods) if each.uid in planless]
        beat = NodeBeat(
            node=NodeName(NODE),
            incarnation=self._disk.incarnation,
            epoch=self._disk.epoch,
            at=wall,
            inventory_digest=inventory_digest(heard),
            shutting_down=self._disk.drain is not None,
        )
        self._publish(beat)
