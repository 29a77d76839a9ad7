"""Sees what really happens to containers, and objects to what no user would expect.

It reads the pod's spec as the API has it, and what the keeper does; of the executor's own state it
asks only whether a pod ends, and why.
"""

import signal
from typing import Final

import msgspec

from contract.messages.report import Occurrence
from podmodel.clock import Clock
from podmodel.keeper import KILLED, Keeper, Key
from podmodel.validation import Json, may_run_again
from wasm_executor.domain.frame import MIN_GRACE_S, Cause
from wasm_executor.domain.inputs import (
    Condemned,
    Forgotten,
    Halted,
    Input,
    MemoryExceeded,
    PlanArrived,
)
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.pod import Pod

REFUSED: Final = 128
SOON_S: Final = 1e-6
NEVER: Final = float("-inf")

INIT, SIDECAR, APP, EPHEMERAL = "init", "sidecar", "app", "ephemeral"


class Fate(msgspec.Struct, kw_only=True, eq=False):
    """What may follow on one run."""

    run: int
    image: str
    code: int | None = None
    unhooked: bool = False
    """Its postStart hook is over."""
    passed: bool = False
    """Its startup probe has said yes."""
    replaced: bool = False
    condemned: bool = False
    """A probe wants it replaced."""
    exceeded: bool = False
    """It has taken more memory than it may."""
    alone_until: float | None = None
    """It ends for its own sake, with a grace of its own."""
    reset: bool = False
    """Its pod begins anew after it."""
    halted: bool = False
    """The executor's own stop has ended it."""
    over: bool = False
    """It ended with its pod."""


class Witness:
    """One for all pods, of all executors."""

    def __init__(self, clock: Clock, keeper: Keeper) -> None:
        self._clock = clock
        self._keeper = keeper
        self.specs: dict[str, Json] = {}
        """Those of pods that are gone too."""
        self.fates: dict[tuple[str, str], Fate] = {}
        self._kill_at: dict[str, float] = {}
        """When the grace of a pod's end is over."""
        self._finished: set[str] = set()

    # The spec

    def role(self, uid: str, name: str) -> str:
        spec = self.specs[uid]
        for each in spec.get("initContainers", ()):
            if each["name"] == name:
                return SIDECAR if each.get("restartPolicy") == "Always" else INIT
        return APP if any(each["name"] == name for each in spec["containers"]) else EPHEMERAL

    def container(self, uid: str, name: str) -> Json:
        spec, kinds = self.specs[uid], ("initContainers", "containers", "ephemeralContainers")
        all_of_them = (each for kind in kinds for each in spec.get(kind, ()))
        return next(each for each in all_of_them if each["name"] == name)

    def apps(self, uid: str) -> list[str]:
        return [each["name"] for each in self.specs[uid]["containers"]]

    # Beginning

    def spawns(self, key: Key, image: str) -> None:
        """A guest is about to begin."""
        place = (key.uid, key.container)
        before = self.fates.get(place)
        if before is not None:
            assert key.run > before.run, f"{key} had its number already"
            assert self._may_follow(key, before), f"{key} was over for good: {before}"
        if before is None or before.reset:
            self._object_to_order(key)
        fate = self.fates[place] = Fate(run=key.run, image=image)
        spec = self.container(key.uid, key.container)
        fate.unhooked = "postStart" not in spec.get("lifecycle", {})
        fate.passed = "startupProbe" not in spec
        if before is not None and not before.reset:
            # Whom it let pass once it does not hold back by going down again.
            fate.unhooked |= before.unhooked
            fate.passed |= before.passed

    def _may_follow(self, key: Key, before: Fate) -> bool:
        uid, name = key.uid, key.container
        role = self.role(uid, name)
        if role == EPHEMERAL or before.over:
            return False
        if before.reset or before.replaced or before.halted:
            return True
        assert before.code is not None, f"{key} begins and nobody saw the end of {before}"
        if role == INIT and before.code == 0:
            return False
        spec, container = self.specs[uid], self.container(uid, name)
        policy = container.get("restartPolicy") or spec["restartPolicy"]
        if before.condemned and policy != "Never":
            return True
        return may_run_again(spec, container, before.code)

    def _object_to_order(self, key: Key) -> None:
        """Init containers one after the other, apps after all of them."""
        uid, name = key.uid, key.container
        for each in self.specs[uid].get("initContainers", ()):
            if each["name"] == name or self.role(uid, name) == EPHEMERAL:
                return
            fate = self.fates.get((uid, each["name"]))
            assert fate is not None, f"{key} begins before {each['name']}"
            is_done = fate.unhooked and fate.passed
            done = fate.code == 0 if self.role(uid, each["name"]) == INIT else is_done
            assert done and not fate.reset, f"{key} begins before {each['name']}"  # noqa: PT018 - one claim

    def probe_passed(self, uid: str, name: str, run: int) -> None:
        """A startup probe has said yes."""
        fate = self.fates[uid, name]
        fate.passed |= fate.run == run

    def hook_over(self, uid: str, name: str, run: int) -> None:
        """A postStart hook is over."""
        fate = self.fates[uid, name]
        fate.unhooked |= fate.run == run

    def anew(self, uid: str) -> None:
        """A static pod begins that its node has forgotten, if it had it."""
        assert not self._keeper.alive(uid)
        self.fates = {place: fate for place, fate in self.fates.items() if place[0] != uid}
        self._kill_at.pop(uid, None)
        self._finished.discard(uid)

    # Ending

    def told(self, pod: Pod, news: Input) -> None:
        """A pod hears that it shall end."""
        match news:
            case PlanArrived() if news.plan.deletion is not None:
                self._ends(pod, news.plan.deletion.grace_s)
            case Forgotten():
                self._ends(pod, news.grace_s)
            case Condemned():
                self._ends(pod, news.grace_s)
            case MemoryExceeded():
                self.fates[pod.plan.uid, news.container].exceeded = True
            case Halted():
                own_s = pod.plan.termination_grace_s
                self._ends(pod, own_s if news.grace_s is None else news.grace_s)
            case _:
                pass

    def looked_at(self, pod: Pod) -> None:
        """A pod may end by itself."""
        if pod.cause is Cause.FINISHED and pod.plan.uid not in self._finished:
            self._finished.add(pod.plan.uid)
            self._ends(pod, pod.plan.termination_grace_s)

    def _ends(self, pod: Pod, grace_s: float) -> None:
        uid, until = pod.plan.uid, self._clock.mono + max(MIN_GRACE_S, grace_s)
        self._kill_at[uid] = min(until, self._kill_at.get(uid, until))

    def adopted(self, pod: Pod, now: Moment) -> None:
        """A supervisor takes over: it knows of a pod's end, of nothing that is under way."""
        uid, plan = pod.plan.uid, pod.plan
        self._kill_at.pop(uid, None)
        self._finished.discard(uid)
        self.looked_at(pod)
        if pod.sentence is not None or pod.cause is Cause.FORGOTTEN:
            self._ends(pod, plan.termination_grace_s)
        if plan.deletion is not None:
            passed_s = now.passed_since(plan.deletion.requested_at)
            self._ends(pod, plan.deletion.grace_s - passed_s)
        for (owner, _), fate in self.fates.items():
            if owner == uid:
                fate.alone_until = None

    def happened(self, uid: str, what: Occurrence, pod: Pod) -> None:
        """Only in this form does anybody learn why a container has to go."""
        if what.reason == "DeadlineExceeded":
            self._ends(pod, pod.plan.termination_grace_s)
        if what.reason != "Killing" or what.message == f"Stopping container {what.container}":
            return
        fate = self.fates[uid, str(what.container)]
        fate.replaced |= "definition changed" in what.message
        fate.condemned |= " probe" in what.message
        fate.alone_until = self._clock.mono + self._own_grace(uid, str(what.container), what)

    def _own_grace(self, uid: str, name: str, what: Occurrence) -> float:
        spec, container = self.specs[uid], self.container(uid, name)
        if what.message == "killing":
            return MIN_GRACE_S
        for kind in ("startup", "liveness"):
            own = container.get(f"{kind}Probe", {}).get("terminationGracePeriodSeconds")
            if f"failed {kind} probe" in what.message and own is not None:
                return max(MIN_GRACE_S, float(own))
        return max(MIN_GRACE_S, float(spec["terminationGracePeriodSeconds"]))

    def signals(self, key: Key, number: int, pod: Pod) -> None:
        if (process := self._keeper.table.get(key)) is None or not process.alive:
            return
        now, fate = self._clock.mono, self.fates[key.uid, key.container]
        grace_over = self._kill_at.get(key.uid, NEVER if pod.cause is None else now)
        if number == signal.SIGKILL and not fate.exceeded:
            told_at = process.told_at
            assert told_at is not None, f"{key} is killed without a word"
            assert now >= told_at + MIN_GRACE_S - SOON_S, f"{key} is killed {now - told_at} s after"
            ends = [each for each in (self._kill_at.get(key.uid), fate.alone_until) if each]
            assert ends, f"{key} is killed though nobody wants its end"
            assert now >= min(ends) - SOON_S, f"{key} is killed {min(ends) - now} s too soon"
        elif number != signal.SIGKILL and fate.alone_until is None and now < grace_over - SOON_S:
            self._object_to_end(key)

    def _object_to_end(self, key: Key) -> None:
        """Sidecars go after all apps, and after the sidecars behind them."""
        if self.role(key.uid, key.container) != SIDECAR:
            return
        inits = [each["name"] for each in self.specs[key.uid]["initContainers"]]
        behind = inits[inits.index(key.container) + 1 :]
        for name in (*self.apps(key.uid), *behind):
            if self.role(key.uid, name) in (APP, SIDECAR):
                assert not self._keeper.runs(key.uid, name), f"{key} ends before {name}"

    def heard(self, key: Key, code: int, pod: Pod) -> None:
        """The executor has learned the end of a run, or takes it to have ended so."""
        if (fate := self.fates.get((key.uid, key.container))) and fate.run == key.run:
            fate.code = code
            self._ended(key, fate, pod)

    def heard_without_plan(self, key: Key, code: int) -> None:
        """The same, where nobody can say what follows."""
        if (fate := self.fates.get((key.uid, key.container))) and fate.run == key.run:
            fate.code = code

    def refused(self, key: Key, pod: Pod) -> None:
        image = next(each.image for each in pod.plan.containers if each.name == key.container)
        self.fates[key.uid, key.container] = fate = Fate(run=key.run, image=image, code=REFUSED)
        self._ended(key, fate, pod)

    def _ended(self, key: Key, fate: Fate, pod: Pod) -> None:
        fate.over = pod.cause not in (None, Cause.HALTED)
        told = (process := self._keeper.table.get(key)) is not None and process.told_at is not None
        fate.halted = pod.cause is Cause.HALTED and told and fate.alone_until is None
        by_itself = not (fate.replaced or fate.condemned)
        if by_itself and pod.cause is None and self._resets(key, fate.code):
            for (uid, name), each in self.fates.items():
                if uid == key.uid and self.role(uid, name) != EPHEMERAL:
                    each.reset = True

    def _resets(self, key: Key, code: int | None) -> bool:
        if self.role(key.uid, key.container) == EPHEMERAL:
            return False
        for rule in self.container(key.uid, key.container).get("restartPolicyRules", ()):
            codes = rule["exitCodes"]
            if (code in codes["values"]) is (codes["operator"] == "In"):
                return bool(rule["action"] == "RestartAllContainers")
        return False

    # Losses

    def keeper_died(self, *, with_records: bool) -> None:
        """Without its records an end that nobody had heard of counts as a kill, too."""
        for key, process in self._keeper.table.items():
            fate = self.fates.get((key.uid, key.container))
            unheard = not with_records and fate is not None and fate.code is None
            if fate is not None and fate.run == key.run and (process.alive or unheard):
                fate.code = KILLED

    def disk_lost(self, statuses: dict[tuple[str, str], Json]) -> None:
        """Nothing is known any more but what the API shows."""
        for place, fate in tuple(self.fates.items()):
            status = statuses.get(place)
            state = status["state"] if status else {}
            last = status["lastState"] if status else {}
            ended = state.get("terminated") or last.get("terminated")
            fate.run = status["restartCount"] if status else fate.run
            fate.over = fate.halted = False
            if "running" in state:
                fate.code = KILLED
            elif ended is not None:
                fate.code = ended["exitCode"]
            else:
                del self.fates[place]
