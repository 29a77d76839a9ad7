"""The rules by which hypothesis makes up a history, and the promises at its end.

A rule that finds nothing to act upon does nothing. Numbers choose among what there is, so that a
shrunk history keeps its meaning.
"""

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from contract.ids import ContainerName
from podmodel.draining import drain
from podmodel.folder import is_shown_as_mirror
from podmodel.healing import assert_healed, heal
from podmodel.livepod import LivePod
from podmodel.manifests import WHICH, Manifests, pick
from podmodel.specs import CODES, GATE, specs
from podmodel.validation import Json
from wasm_executor.domain.checks import Verdict
from wasm_executor.domain.inputs import MemoryExceeded

SECONDS = st.sampled_from([0.05, 0.3, 1.0, 2.0, 3.0, 10.0, 40.0, 90.0])
MAX_PODS = 3


class PodLife(Manifests):
    """See the module."""

    def teardown(self) -> None:
        if self._sound:
            heal(self.world)
            assert_healed(self.world)

    def _pod(self, which: int) -> str | None:
        """One that the API has of its own: who changes a mirror changes nothing."""
        pods = self.world.api.pods
        return pick([uid for uid, pod in pods.items() if not is_shown_as_mirror(pod)], which)

    def _lives(self) -> list[LivePod]:
        return list(self.world.executor.pods.values())

    # Users

    @initialize(spec=specs(), rounds=st.integers(0, 4))
    def begin(self, spec: Json, rounds: int) -> None:
        """Most of what may happen happens to a pod that runs."""
        self.create(spec)
        for _ in range(rounds):
            self.all_goes_well()
            self.world.finish_inits()

    @precondition(lambda self: len(self.world.api.pods) < MAX_PODS)
    @rule(spec=specs())
    def create(self, spec: Json) -> None:
        with self.step() as world:
            world.create(spec)

    @precondition(lambda self: self.world.api.pods)
    @rule(which=WHICH, container=WHICH)
    def change_an_image(self, which: int, container: int) -> None:
        uid = self._pod(which)
        if uid is None:
            return
        with self.step() as world:
            spec = world.api.pods[uid]["spec"]
            found = pick([*spec.get("initContainers", ()), *spec["containers"]], container)
            assert found is not None
            image = "guest:2" if found["image"] == "guest:1" else "guest:1"
            world.api.set_image(uid, found["name"], image)

    @precondition(lambda self: self.world.api.pods)
    @rule(which=WHICH)
    def add_an_ephemeral_container(self, which: int) -> None:
        if (uid := self._pod(which)) is not None:
            with self.step() as world:
                world.api.add_ephemeral(uid)

    @precondition(lambda self: self.world.api.pods)
    @rule(which=WHICH, seconds=st.sampled_from([1, 10, 60]))
    def set_a_deadline(self, which: int, seconds: int) -> None:
        uid = self._pod(which)
        if uid is None:
            return
        known = self.world.api.pods[uid]["spec"].get("activeDeadlineSeconds")
        if known is None or seconds < known:
            with self.step() as world:
                world.api.set_deadline(uid, seconds)

    @precondition(lambda self: self.world.api.pods)
    @rule(which=WHICH, status=st.sampled_from(["True", "False"]))
    def turn_a_gate(self, which: int, status: str) -> None:
        uid = self._pod(which)
        if uid is not None and "readinessGates" in self.world.api.pods[uid]["spec"]:
            with self.step() as world:
                world.api.set_condition(uid, GATE, status)

    @precondition(lambda self: self.world.api.pods)
    @rule(which=WHICH, grace_s=st.sampled_from([None, 10, 0, 0]))
    def delete(self, which: int, grace_s: int | None) -> None:
        if (uid := pick(list(self.world.api.pods), which)) is not None:
            with self.step() as world:
                world.api.delete(uid, grace_s)

    # Guests

    @rule()
    def all_goes_well(self) -> None:
        with self.step() as world:
            for _ in range(3):
                for pod in self._lives():
                    world.work_on(pod)
                world.settle()

    @precondition(lambda self: self.world.keeper.alive())
    @rule(which=WHICH, code=st.sampled_from(CODES))
    def exit(self, which: int, code: int) -> None:
        process = pick(self.world.keeper.alive(), which)
        if process is not None:
            with self.step() as world:
                world.keeper.end(process.key, code)

    @precondition(lambda self: self.world.keeper.alive())
    @rule(which=WHICH)
    def turn_stubborn(self, which: int) -> None:
        process = pick(self.world.keeper.alive(), which)
        if process is not None:
            process.stubborn = True

    @precondition(lambda self: self.world.keeper.alive())
    @rule(which=WHICH)
    def take_too_much_memory(self, which: int) -> None:
        process = pick(self.world.keeper.alive(), which)
        live = None if process is None else self.world.executor.pods.get(process.key.uid)
        if process is not None and live is not None and not live.over:
            _, name, run = process.key
            with self.step() as world:
                world.executor.tell(live, MemoryExceeded(container=ContainerName(name), run=run))

    @precondition(lambda self: any(each.work.images for each in self._lives()))
    @rule(which=WHICH, found=st.booleans(), backs_off=st.booleans())
    def bring_an_image(self, which: int, *, found: bool, backs_off: bool) -> None:
        asked = [(pod, name) for pod in self._lives() for name in pod.work.images]
        if (one := pick(asked, which)) is not None:
            pod, name = one
            with self.step() as world:
                work = pod.work
                news = (
                    work.image_found(name)
                    if found
                    else work.image_not_found(name, backs_off=backs_off)
                )
                world.executor.tell(pod, news)

    @precondition(lambda self: any(each.work.starts for each in self._lives()))
    @rule(which=WHICH, how=st.sampled_from(["runs", "refused", "failed", *CODES]))
    def start(self, which: int, how: str | int) -> None:
        asked = [(pod, name) for pod in self._lives() for name in pod.work.starts]
        if (one := pick(asked, which)) is None:
            return
        pod, name = one
        with self.step() as world:
            match how:
                case "runs":
                    world.executor.start(pod, name)
                case "refused":
                    world.executor.refuse(pod, name)
                case "failed":
                    world.executor.tell(pod, pod.work.start_failed(name))
                case int():
                    world.executor.start(pod, name, dies_with=how)

    @precondition(lambda self: any(each.work.probes for each in self._lives()))
    @rule(which=WHICH, verdict=st.sampled_from(Verdict))
    def answer_a_probe(self, which: int, verdict: Verdict) -> None:
        asked = [(pod, *key) for pod in self._lives() for key in pod.work.probes]
        if (one := pick(asked, which)) is not None:
            with self.step() as world:
                world.probed(*one, verdict)

    @precondition(lambda self: any(each.work.hooks for each in self._lives()))
    @rule(which=WHICH, failure=st.sampled_from([None, "no"]))
    def finish_a_hook(self, which: int, failure: str | None) -> None:
        asked = [(pod, name) for pod in self._lives() for name in pod.work.hooks]
        if (one := pick(asked, which)) is not None:
            with self.step() as world:
                world.hooked(*one, failure=failure)

    # Time

    @rule(seconds=SECONDS)
    def pass_time(self, seconds: float) -> None:
        with self.step() as world:
            world.pass_time(seconds)

    @rule(hours=st.sampled_from([-1, 1]))
    def set_the_wall_clock(self, hours: int) -> None:
        self.world.clock.set_wall(hours * 3600.0)

    # The bus and the API server

    @rule(prompt=st.booleans())
    def turn_the_bus(self, *, prompt: bool) -> None:
        with self.step() as world:
            world.bus.prompt = prompt

    @precondition(lambda self: self.world.bus.parcels)
    @rule(which=WHICH, what=st.sampled_from(["deliver", "deliver", "lose", "double"]))
    def handle_a_message(self, which: int, what: str) -> None:
        with self.step() as world:
            match what:
                case "deliver":
                    world.deliver(which)
                case "lose":
                    world.bus.take(which)
                case "double":
                    world.bus.double(which)

    @rule(prompt=st.booleans())
    def turn_the_watch(self, *, prompt: bool) -> None:
        with self.step() as world:
            world.watch_prompt = prompt

    @rule()
    def show_a_change(self) -> None:
        with self.step() as world:
            world.show_next()
            world.leader.statics.look()

    @rule()
    def relist(self) -> None:
        with self.step() as world:
            world.leader.relist()

    @rule(writes=st.sampled_from([1, 2, 3]))
    def fail_writes(self, writes: int) -> None:
        self.world.leader.failing_writes = writes

    # Faults

    @rule()
    def change_the_leader(self) -> None:
        with self.step() as world:
            world.change_leader()

    @rule(lost_plans=st.booleans())
    def restart_the_supervisor(self, *, lost_plans: bool) -> None:
        with self.step() as world:
            if not world.executor.halting:
                world.restart_supervisor(lost_plans=lost_plans)

    @rule(how=st.sampled_from(["keeper", "reboot", "disk"]))
    def kill_the_executor(self, how: str) -> None:
        with self.step() as world:
            world.restart_keeper(reboot=how == "reboot", disk_lost=how == "disk")

    @rule(period_s=st.sampled_from([0, 3, 60]))
    def drain_the_node(self, period_s: float) -> None:
        with self.step() as world:
            if not world.executor.halting:
                drain(world.executor, period_s)

    @rule()
    def stop_the_executor(self) -> None:
        with self.step() as world:
            if not world.executor.halting:
                world.executor.halt()
