"""All of it together: time passes, work gets done, and after each step the promises are checked."""

from typing import Final

from contract.errors import CommandError
from contract.ids import NodeName
from contract.messages.form import Event
from contract.messages.node import NodeGranted
from pod_reconciler.domain.tracking import NodeView
from podmodel.apiserver import NODE, ApiServer
from podmodel.bus import Answered, Asked, Bus, Parcel
from podmodel.clock import Clock
from podmodel.commands import answer
from podmodel.disk import Disk
from podmodel.draining import resume
from podmodel.executor import Executor
from podmodel.folder import Folder, Statics, is_shown_as_mirror
from podmodel.keeper import Keeper
from podmodel.leader import Leader
from podmodel.livepod import LivePod
from podmodel.validation import TERMINAL, Json
from podmodel.witness import INIT, Witness
from wasm_executor.domain.checks import HookKind, ProbeKind, Verdict

BEAT_S: Final = 5.0
HOST_IP: Final = "192.0.2.7"
MANY_STEPS: Final = 500
MOMENT_S: Final = 0.001
"""The shortest sleep of a task that is woken."""
BOOT_S: Final = 1.0
"""A machine that comes back is away for longer than the API's times are exact."""


class World:
    """One node, one pool, any number of pods."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.bus = Bus()
        self.watch_prompt = True
        self.folder = Folder()
        self.api = ApiServer(self.clock)
        self.keeper = Keeper(self.clock)
        self.disk = Disk()
        self.witness = Witness(self.clock, self.keeper)
        self._leaders = 0
        self._beat_at = BEAT_S
        self.executor = self._new_executor()
        self.leader = self._new_leader()
        self.settle()

    # Who comes and goes

    def _new_executor(self) -> Executor:
        executor = Executor(self.clock, self.keeper, self.disk, self.witness, self.bus.post)
        self._grant()
        executor.adopt()
        resume(executor)
        return executor

    def _grant(self) -> None:
        """The registrar says who holds the node; it says so again with every beat."""
        holder = self.disk.incarnation
        self.bus.post(NodeGranted(node=NodeName(NODE), holder=holder, host_ip=HOST_IP))

    def _new_leader(self) -> Leader:
        self._leaders += 1
        leader = Leader(self._leaders, self.clock, self.api, self.bus.post, self._statics)
        self.leader = leader
        leader.relist()
        self._grant()
        return leader

    def _statics(self, view: NodeView) -> Statics:
        return Statics(self.folder, self.api, self.clock, view, self._static_begun)

    def _static_begun(self, uid: str, spec: Json) -> None:
        self.witness.specs[uid] = spec
        if uid not in self.executor.pods and self.disk.record(uid) is None:
            self.witness.anew(uid)

    def change_leader(self) -> None:
        self._new_leader()

    def restart_supervisor(self, *, lost_plans: bool = False) -> None:
        """Its keeper and the containers go on."""
        if lost_plans:
            self.disk.plans.clear()
        self.disk.epoch += 1
        self.executor = self._new_executor()

    def restart_keeper(self, *, reboot: bool = False, disk_lost: bool = False) -> None:
        """All processes die with it."""
        with_records = not (reboot or disk_lost)
        self.witness.keeper_died(with_records=with_records)
        self.keeper.die(with_records=with_records)
        if reboot or disk_lost:
            self.clock.mono += BOOT_S
        if reboot:
            self.disk.reboot()
        if disk_lost:
            self.disk.lose()
            self.witness.disk_lost(dict(self.leader.shown()))
        self.disk.life += 1
        self.disk.epoch = 1
        self.executor = self._new_executor()

    # Users

    def create(self, spec: Json) -> str:
        uid = self.api.create(spec)
        self.witness.specs[uid] = self.api.pods[uid]["spec"]
        return uid

    # Steps

    def settle(self) -> None:
        """Let everything happen that takes no time."""
        for _ in range(MANY_STEPS):
            if not self._step():
                break
        else:
            raise AssertionError("they never come to rest")
        self.check()

    def _step(self) -> bool:
        if self.executor.hear_exits() | self._give_up_starts():
            return True
        if self.executor.halted:
            self.restart_keeper()
            return True
        if self.watch_prompt and (self.show_next() or self.leader.statics.look()):
            return True
        if self.bus.prompt and self.deliver(0):
            return True
        return self.leader.act()

    def _give_up_starts(self) -> bool:
        gave_up = False
        for pod in tuple(self.executor.pods.values()):
            for name, start in tuple(pod.work.starts.items()):
                if start.abandoned:
                    self.executor.tell(pod, pod.work.start_failed(name))
                    gave_up = True
        return gave_up

    def show_next(self) -> bool:
        """Let the watch show its next change."""
        if self.api.changes:
            self.leader.see(*self.api.changes.pop(0))
            return True
        return False

    def deliver(self, place: int) -> bool:
        parcel = self.bus.take(place)
        if parcel is not None:
            self._hand_over(parcel)
        return parcel is not None

    def _hand_over(self, parcel: Parcel) -> None:
        match parcel:
            case Asked(leader=leader, number=number):
                if self.executor.halting:
                    return  # nobody answers
                try:
                    reply = answer(self.executor, parcel.command)
                except CommandError as error:
                    self.bus.post(Answered(leader=leader, number=number, reply=error))
                else:
                    self.bus.post(Answered(leader=leader, number=number, reply=reply))
            case Answered(leader=leader):
                if leader == self.leader.number:
                    self.leader.answered(parcel)
            case Event():
                self.leader.hear(parcel)

    def pass_time(self, seconds: float) -> None:
        until = self.clock.mono + seconds
        while self.clock.mono < until:
            due = (self.executor.next_time(), self.leader.next_time(), self._beat_at)
            first = min(each for each in due if each is not None)
            self.clock.mono = min(until, max(first, self.clock.mono + MOMENT_S))
            self.executor.wake()
            if self._beat_at <= self.clock.mono:
                self._beat_at = self.clock.mono + BEAT_S
                self.executor.beat()
                self._grant()
            self.settle()

    # Work that goes well

    def work_on(self, pod: LivePod) -> None:
        """Bring to a good end what one pod has asked for."""
        work, executor = pod.work, self.executor
        for image in tuple(work.images):
            executor.tell(pod, work.image_found(image))
        for name in tuple(work.starts):
            executor.start(pod, name)
        for name in tuple(work.hooks):
            self.hooked(pod, name, failure=None)
        for name, kind in tuple(work.probes):
            self.probed(pod, name, kind, Verdict.SUCCESS)

    def probed(self, pod: LivePod, name: str, kind: ProbeKind, verdict: Verdict) -> None:
        want = pod.work.probes[name, kind]  # type: ignore[index]  # names are plain text here
        if kind is ProbeKind.STARTUP and verdict is Verdict.SUCCESS:
            self.witness.probe_passed(pod.pod.plan.uid, name, want.run)
        self.executor.tell(pod, pod.work.probed(want.container, kind, verdict))

    def hooked(self, pod: LivePod, name: str, failure: str | None) -> None:
        want = pod.work.hooks[name]  # type: ignore[index]  # as above
        if want.kind is HookKind.POST_START:
            self.witness.hook_over(pod.pod.plan.uid, name, want.run)
        self.executor.tell(pod, pod.work.hooked(want.container, failure))

    def finish_inits(self) -> None:
        for process in self.keeper.alive():
            uid, name, _ = process.key
            if self.witness.role(uid, name) == INIT:
                self.keeper.end(process.key, 0)

    # What has to hold

    def check(self) -> None:
        for uid, pod in self.api.pods.items():
            phase = pod["status"]["phase"]
            if phase not in TERMINAL or is_shown_as_mirror(pod):
                continue  # a mirror may lag behind its pod
            assert not self.keeper.alive(uid), f"{uid} is {phase}, and {self.keeper.alive(uid)}"
            if phase == "Succeeded":
                codes = {n: self.witness.fates[uid, n].code for n in self.witness.apps(uid)}
                assert not any(codes.values()), f"{uid} has succeeded with {codes}"
